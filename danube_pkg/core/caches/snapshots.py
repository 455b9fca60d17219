"""A snapshot: what a step has changed in its container and in the workspace, restored in a later job in its place.

A wrong hit must never happen, so a snapshot is of a step that nothing else can have influenced:

- its container is as its image has it, or as the snapshots of the steps before it in that container left it: their
  contents are part of the key, and a step without a snapshot ends that chain;
- nothing else of the job runs at the same time;
- its variables do not differ from job to job;
- what it reads of the workspace is named by its author (`snapshot=hash_files(…)`), and what it writes there is only
  added: restored, each path must be free.

`danube-step` holds the last rule (`supervisor/step/snapshot.h`), this module the others.
"""

import json
from collections.abc import Mapping, Sequence

from danube_pkg.core.caches.cache import MAX_KEY_LENGTH, CacheRequest, CacheUse
from danube_pkg.core.errors import Invalid, Permanent
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.kit.records import Record

FORMAT = 1
"""Part of each key: snapshots that a later release could not apply are not found by it."""


class SnapshotPlace(Record):
    """Where a step is about to run. container: its number. image_digest: of the container's image."""

    container: int
    image_digest: str


def check_snapshot(request: StepRequest) -> None:
    """Raises Invalid for a step that asks for a snapshot and can have none."""
    if not request.snapshot:
        return
    if len(request.snapshot) > MAX_KEY_LENGTH or not request.snapshot.isprintable():
        raise Invalid(
            "step-invalid",
            f"the snapshot's key of step {request.sequence} is not 1 to {MAX_KEY_LENGTH} printable characters",
            hint='step.run(COMMAND, snapshot=hash_files("package-lock.json"))',
        )
    if request.isolation or request.cleanup:
        raise Invalid(
            "step-invalid",
            f"step {request.sequence} is for clean-up or in an isolated leg of a matrix, and has no snapshot",
            hint="leave snapshot= out, or run the step before the matrix",
        )


def snapshot_problem(job: Job, step: Step, place: SnapshotPlace) -> str:
    """Why the step's snapshot is neither restored nor kept, as a clause; "" where nothing is in the way."""
    if not job.settings.cache:
        return "snapshots are off for this pipeline (cache: off)"
    if job.trigger.rebuild is not None:
        return "a rebuild runs every step"
    if step.image == HOST_IMAGE or not place.image_digest:
        return f"the image {step.image!r} has no digest, so that it is not known what the command would find in it"
    if step.attempt > 1:
        return "an earlier attempt has left files"
    others = [one for one in job.steps if one.sequence not in (step.sequence, COORDINATOR_SEQUENCE)]
    for other in others:
        if other.phase is not StepPhase.ENDED:
            return f"step {other.sequence} {other.name!r} runs at the same time"
        if other.container == place.container and not other.snapshot:
            return f"step {other.sequence} {other.name!r} ran in its container before it without a snapshot"
    return ""


def chain_of(job: Job, step: Step, place: SnapshotPlace) -> Sequence[str]:
    """The snapshots that have made the container what it is, in the order in which their steps ended. Steps of one
    chain never overlap, so that their numbers have the same order."""
    return [one.snapshot for one in job.steps if one.container == place.container and one.sequence != step.sequence]


def snapshot_parts(
    job: Job,
    step: Step,
    request: StepRequest,
    place: SnapshotPlace,
    environment: Mapping[str, str],
    uses: Sequence[CacheUse],
) -> bytes:
    """All that must be equal for a hit besides the author's key, to be hashed with a key: it has variables.
    environment: the author's and the pipeline's. uses: what the job has restored so far."""
    caches = sorted((one.name, one.key, one.sha256) for one in uses if not one.step)
    parts = [
        FORMAT,
        job.pipeline,
        without_login(job.settings.repository),
        place.image_digest,
        job.settings.run_as_root,
        job.settings.network,
        request.command,
        request.shell,
        request.working_directory,
        sorted(environment.items()),
        list(chain_of(job, step, place)),
        caches,
    ]
    return json.dumps(parts).encode()


def snapshot_request(step: Step, request: StepRequest) -> CacheRequest:
    """The snapshot as an entry of the caches."""
    return CacheRequest(step.sequence, step.name, request.snapshot, (), image=step.image, step=step.sequence)


def snapshot_after_secret() -> Permanent:
    """The job has read something secret, which a snapshot could carry into other jobs."""
    return Permanent(
        "snapshot-after-secret",
        "the job has read a secret, got an identity token or downloaded an artifact",
        hint="run steps with snapshot= before secrets are read",
    )
