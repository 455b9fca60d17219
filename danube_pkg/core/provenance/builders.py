"""The kinds of run, each with a builder URI of its own, since each isolates a build differently.

A verifier decides by key and builder how much it trusts (SLSA v1.2, "Verifying artifacts"). `docs/builders` has a page
for each. A run with several weaknesses has the builder of the first that fits, in the order of `builder_of`.
"""

from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Network

BASE = "https://danube.dev"
"""The API version of the configuration has the same domain."""

BUILD_TYPE = f"{BASE}/buildtypes/pipeline/v1"
RELEASE_BUILD_TYPE = f"{BASE}/buildtypes/release/v1"

RELEASE = "release"
"""Danube's own files, built by `build.py` and signed with the key of its releases."""

LOCAL = "local"
OPEN_NETWORK = "open-network"
HOST_IMAGE_KIND = "host-image"

UNENFORCED = "nothing"
"""`core.egress.canaries.EnforcedBy.NOTHING`: the job could pass by the egress proxy."""

KINDS = (LOCAL, OPEN_NETWORK, HOST_IMAGE_KIND, "sandbox", "kubernetes", RELEASE)
"""Every kind that this version has."""


def builder_uri(kind: str) -> str:
    """The builder's id in provenance."""
    return f"{BASE}/builders/{kind}/v1"


def builder_of(job: Job, runtime: str, *, is_local: bool) -> str:
    """The builder's id for a job. runtime: the runtime's name. is_local: `danube run`, by the user's own hand."""
    if is_local:
        return builder_uri(LOCAL)
    is_unenforced = job.egress_enforced_by == UNENFORCED
    if job.settings.network in (Network.HOST, Network.LEARN) or is_unenforced:
        return builder_uri(OPEN_NETWORK)
    if any(step.sequence != COORDINATOR_SEQUENCE and step.image == HOST_IMAGE for step in job.steps):
        return builder_uri(HOST_IMAGE_KIND)
    return builder_uri(runtime)
