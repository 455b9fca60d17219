"""What a server states about a job: an in-toto Statement v1 with SLSA provenance v1, from its own records alone.

Sources: https://github.com/in-toto/attestation (spec/v1/statement.md, resource_descriptor.md) and
https://slsa.dev/spec/v1.2/build-provenance. `docs/buildtypes/pipeline-v1.md` describes each parameter. The same records
give the same bytes: nothing here depends on the time, so that a statement can be made again after a crash.

Subjects are the job's artifacts and the images that it has pushed to the server's own registry; without any it is its
log, so that its records are signed as well.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from danube_pkg.core.artifact_downloads import ArtifactUse
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.caches.cache import CacheUse
from danube_pkg.core.images.pushed import PushedImage
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.sealed_records import EGRESS, LOG, SealedRecord, end_of_chain
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.provenance.builders import BUILD_TYPE, builder_of
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.core.secrets.secret import SecretUse
from danube_pkg.kit.records import Record

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"

_GIT_HASHES = (40, 64)
"""Hexadecimal digits of SHA-1 and SHA-256."""


class JobFacts(Record):
    """All that a statement is made from. secrets: the job's reads. configuration: URL of the configuration repository,
    "" where there is none. runtime: its name. version: Danube's. is_local: see `builder_of`. images: those that the job
    pushed. caches: those that it restored. downloads: artifacts of other jobs that it got."""

    job: Job
    artifacts: Sequence[Artifact]
    secrets: Sequence[SecretUse]
    configuration: str
    runtime: str
    version: str
    is_local: bool = False
    images: Sequence[PushedImage] = ()
    caches: Sequence[CacheUse] = ()
    downloads: Sequence[ArtifactUse] = ()


def statement_of(facts: JobFacts) -> bytes:
    """The statement as JSON with sorted keys. The job has its outcome, and its log and ledger are sealed."""
    return _compact(
        {
            "_type": STATEMENT_TYPE,
            "subject": _subjects(facts),
            "predicateType": PREDICATE_TYPE,
            "predicate": {"buildDefinition": _definition(facts), "runDetails": _details(facts)},
        }
    ).encode()


def _subjects(facts: JobFacts) -> list[dict[str, Any]]:
    found = [{"name": one.file_name, "digest": {"sha256": one.sha256}} for one in facts.artifacts]
    found += [{"name": one.name, "digest": {"sha256": one.digest.partition(":")[2]}} for one in facts.images]
    if found:
        return found
    return [
        {"name": f"{facts.job.id}.log", "digest": {"sha256": sealed_content(facts.job.records, LOG).get("sha256", "")}}
    ]


def _definition(facts: JobFacts) -> dict[str, Any]:
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": _external(facts.job),
        "internalParameters": _internal(facts),
        "resolvedDependencies": [*_sources(facts), *_images(facts.job), *_caches(facts), *_downloads(facts)],
    }


def _external(job: Job) -> dict[str, Any]:
    """Everything that users outside of the server decide about one job; nothing is left out."""
    trigger = job.trigger
    return {
        "pipeline": job.pipeline,
        "repository": without_login(job.settings.repository),
        "ref": trigger.revision.ref,
        "script": job.settings.script,
        "parameters": dict(trigger.params),
        "trigger": _trigger(trigger),
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    found: dict[str, Any] = {"type": trigger.type, "actor": trigger.actor}
    if trigger.rerun_of:
        found["rerunOf"] = trigger.rerun_of
    if trigger.rebuild is not None:
        found["rebuildOf"] = trigger.rebuild.job
    if trigger.pull_request is not None:
        found["pullRequest"] = {key: value for key, value in sorted(trigger.pull_request.items()) if _is_plain(value)}
        found["trusted"] = not trigger.is_untrusted
        found["approvedBy"] = trigger.approved_by
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | bool)


def _internal(facts: JobFacts) -> dict[str, Any]:
    """What the pipeline's definition and the server set for the job."""
    settings = facts.job.settings
    return {
        "runtime": facts.runtime,
        "image": settings.image,
        "environment": dict(settings.environment),
        "runAsRoot": settings.run_as_root,
        "network": str(settings.network),
        "egressAllowlist": list(settings.egress_allowlist),
        "egressEnforcedBy": facts.job.egress_enforced_by,
        "submodules": list(settings.submodules),
        "cloneDepth": settings.clone_depth,
        "cloneTags": settings.clone_tags,
        "cache": settings.cache,
        "maxDurationSeconds": settings.max_duration_seconds,
        "workspaceSizeGb": settings.workspace_size_gb,
        "memoryMb": settings.memory_mb,
        "cpu": settings.cpu,
        "approvals": [_approval(one) for one in facts.job.approvals if one.decided_at is not None],
    }


def _approval(approval: EnvironmentApproval) -> dict[str, Any]:
    """A user's decision about an environment that the job has asked for."""
    return {
        "environment": approval.environment,
        "decision": "rejected" if approval.state is ApprovalState.REJECTED else "approved",
        "by": approval.decided_by,
        "on": rfc3339(approval.decided_at or 0.0),
        "reason": approval.reason,
    }


def _sources(facts: JobFacts) -> Iterator[dict[str, Any]]:
    revision, repository = facts.job.trigger.revision, without_login(facts.job.settings.repository)
    yield _git("source", repository, revision.ref, revision.commit_sha)
    for one in revision.submodules:
        yield {**_git("submodule", one.repository, "", one.commit_sha), "annotations": {"path": one.path}}
    if facts.configuration and facts.job.configuration:
        yield _git("configuration", without_login(facts.configuration), "", facts.job.configuration)


def _git(name: str, repository: str, ref: str, commit_sha: str) -> dict[str, Any]:
    """A repository at a commit; without a digest where it is a directory without Git."""
    found: dict[str, Any] = {"name": name, "uri": f"git+{repository}{f'@{ref}' if ref else ''}"}
    if len(commit_sha) in _GIT_HASHES and all(digit in "0123456789abcdef" for digit in commit_sha):
        found["digest"] = {"gitCommit": commit_sha}
    return found


def _images(job: Job) -> Iterator[dict[str, Any]]:
    """Each image that a step used, by the digest that its registry gave. The machine's own programs have none."""
    used = ((step.image, step.image_digest) for step in job.steps if step.sequence != COORDINATOR_SEQUENCE)
    for image, digest in dict.fromkeys(one for one in used if one[0] != HOST_IMAGE and one[1]):
        algorithm, _, value = digest.partition(":")
        yield {"name": "image", "uri": f"oci://{image}", "digest": {algorithm: value}}


def _caches(facts: JobFacts) -> Iterator[dict[str, Any]]:
    """Each cache and each snapshot of a step that the job restored: files that an earlier job made."""
    for use in facts.caches:
        if use.step:
            yield {
                "name": "snapshot",
                "uri": f"urn:danube:job:{use.source_job}",
                "digest": {"sha256": use.sha256},
                "annotations": {"step": use.step, "key": use.key, "ref": use.ref},
            }
            continue
        yield {
            "name": "cache",
            "uri": f"urn:danube:job:{use.source_job}",
            "digest": {"sha256": use.sha256},
            "annotations": {"cache": use.name, "key": use.key, "ref": use.ref, "exact": use.exact},
        }


def _downloads(facts: JobFacts) -> Iterator[dict[str, Any]]:
    """Each artifact of another job that the job got."""
    for use in facts.downloads:
        yield {
            "name": "artifact",
            "uri": f"urn:danube:job:{use.source_job}",
            "digest": {"sha256": use.sha256},
            "annotations": {
                "file": use.file_name,
                "pipeline": use.pipeline,
                "ref": use.ref,
                "trusted": use.trusted,
            },
        }


def _details(facts: JobFacts) -> dict[str, Any]:
    job = facts.job
    return {
        "builder": {
            "id": builder_of(job, facts.runtime, is_local=facts.is_local),
            "version": {"danube": facts.version},
        },
        "metadata": {"invocationId": job.id, **_times(job)},
        "byproducts": list(_byproducts(facts)),
    }


def _byproducts(facts: JobFacts) -> Iterator[dict[str, Any]]:
    job = facts.job
    yield {
        "name": "job",
        "uri": f"urn:danube:job:{job.id}",
        "annotations": {"status": str(job.outcome or ""), "reason": str(job.reason)},
    }
    for kind, suffix in ((LOG, "log"), (EGRESS, "egress")):
        sealed = sealed_content(job.records, kind)
        yield {
            "name": f"{job.id}.{suffix}",
            "digest": {"sha256": sealed.get("sha256", "")},
            "annotations": {"sizeBytes": sealed.get("sizeBytes", 0)},
        }
    yield {
        "name": "records",
        "digest": {"sha256": end_of_chain(job.id, job.records)},
        "annotations": {"records": [json.loads(record.content) for record in job.records]},
    }
    reads = [{"name": one.name, "readOn": rfc3339(one.at)} for one in facts.secrets]
    yield {
        "name": "secrets",
        "digest": {"sha256": sha256(_compact(reads).encode()).hexdigest()},
        "annotations": {"reads": reads},
    }


def sealed_content(records: Sequence[SealedRecord], kind: str) -> Mapping[str, Any]:
    """The content of the newest sealed record of that kind; empty where there is none."""
    contents = (json.loads(record.content) for record in reversed(records))
    return next((one for one in contents if one["kind"] == kind), {})


def _times(job: Job) -> dict[str, str]:
    times = {"startedOn": job.started_at, "finishedOn": job.finished_at}
    return {name: rfc3339(at) for name, at in times.items() if at is not None}


def rfc3339(seconds: float) -> str:
    """A time as the predicate wants it, with `Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
