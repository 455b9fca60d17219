"""Requests of users: start a job, rerun one, rebuild one, approve untrusted code."""

from collections.abc import Collection, Mapping

from danube_pkg.core.configuration.pipelines import ParamSpec
from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.trigger import Rebuild, Trigger, proposal_at
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import named_by
from danube_pkg.core.repositories.urls import is_remote
from danube_pkg.core.triggers.params import read_params
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.secrets import Secrets


async def start(
    engine: Engine,
    secrets: Secrets,
    name: str,
    *,
    actor: str,
    ref: str = "",
    params: Mapping[str, str] | None = None,
    declared: Mapping[str, ParamSpec] | None = None,
    job_id: str | None = None,
) -> Job:
    """A new job for the commit that `ref` names now. declared: the pipeline's parameters. A ref that is neither a
    branch nor a tag, such as that of a pull request, is untrusted: its job waits for an approval.

    The commit of a remote repository is looked up when the job is stored: a ref that it does not have ends the job.

    job_id: reserved by an earlier try of the same request; if a job has it, that job is returned. Raises NotFound,
    Invalid for a parameter or ref that holds a secret, ParamsInvalid, Permanent `source-unavailable`, Unavailable.
    """
    if job_id is not None and (known := await engine.find(job_id)) is not None:
        return known
    pipeline = await engine.triggerable(name)
    given = params or {}
    texts = {f"parameter {number}": f"{one} {value}" for number, (one, value) in enumerate(given.items(), 1)}
    await secrets.refuse_clear({"the ref": ref, **texts})
    taken = read_params(declared or {}, given)
    revision = named_by(ref)
    if not is_remote(pipeline.settings.repository) or proposal_at(revision) is not None:
        revision = await engine.revision(pipeline, ref)
    trigger = Trigger("manual", actor, revision, taken, proposal_at(revision))
    return await _submit(engine, pipeline, trigger, job_id)


async def _submit(engine: Engine, pipeline: Pipeline, trigger: Trigger, job_id: str | None) -> Job:
    """A job without a commit of a remote repository: it is looked up while the job waits."""
    is_known = bool(trigger.revision.commit_sha) or not is_remote(pipeline.settings.repository)
    reason = Reason.QUEUED if is_known else Reason.RESOLVING
    return await engine.submit(pipeline, trigger, job_id=job_id, reason=reason)


async def rerun(
    engine: Engine, job: Job, actor: str, *, failed_steps: bool = False, new_job_id: str | None = None
) -> Job:
    """A new job of the same commit with the same parameters and the pipeline's present settings. An approval of the
    commit holds for it. Where the job never had a commit, its ref is looked up again. failed_steps: for those alone;
    the others are restored from their snapshots or run again, and the new job says which.

    new_job_id: reserved by an earlier try of the same request. Raises NotFound, Unavailable, Conflict.
    """
    if new_job_id is not None and (known := await engine.find(new_job_id)) is not None:
        return known
    if failed_steps and not any(step.fails_job and step.sequence != COORDINATOR_SEQUENCE for step in job.steps):
        raise Conflict(
            "no-failed-steps",
            f"{job.label} has no failed step",
            cause="" if job.status.ended else "it has not ended",
            hint=f"run all of it again: danube rerun {job.id}",
        )
    pipeline = await engine.triggerable(job.pipeline)
    again = replace(job.trigger, type="manual", actor=actor, rerun_of=job.id, failed_steps=failed_steps)
    return await _submit(engine, pipeline, replace(again, origin="", received_at=None), new_job_id)


async def rebuild(
    engine: Engine,
    secrets: Secrets,
    job: Job,
    actor: str,
    *,
    with_secrets: Collection[str] = (),
    new_job_id: str | None = None,
) -> Job:
    """A new job that builds the same commit again: with the settings and parameters of that job, in its images by their
    digests, in a fresh pod, and with no secret but those of `with_secrets`.

    new_job_id: reserved by an earlier try of the same request. Raises Conflict for a job that is not green, was not
    built from a commit, or needs secrets; NotFound, Unavailable.
    """
    if new_job_id is not None and (known := await engine.find(new_job_id)) is not None:
        return known
    if job.status is not Status.SUCCESS or not job.trigger.revision.commit_sha or job.trigger.rebuild is not None:
        raise Conflict(
            "rebuild-impossible",
            f"{job.label} cannot be rebuilt",
            cause="a rebuild compares with what a green job has built from a commit of a repository",
            hint="danube jobs --status success lists green jobs",
        )
    read = dict.fromkeys(name.rpartition("/")[2] for name in await secrets.used_by(job.id))
    if missing := [key for key in read if key not in with_secrets]:
        words = " ".join(f"--with-secrets {key}" for key in read)
        raise Conflict(
            "rebuild-needs-secrets",
            f"{job.label} cannot be rebuilt without the secrets that it read: {', '.join(missing)}",
            cause="a rebuild gets no secret that it was not given: with one it could publish what it builds",
            hint=f"danube rebuild {job.id} {words}",
        )
    pipeline = await engine.triggerable(job.pipeline)
    images = {step.image: step.image_digest for step in job.steps if step.image_digest}
    again = Rebuild(job.id, images, tuple(sorted(with_secrets)))
    first = replace(job.trigger, rerun_of="", failed_steps=False, origin="", received_at=None)
    trigger = replace(first, actor=actor, rebuild=again)
    alone = replace(job.settings, concurrency_group=None, cancel_in_progress=False)
    return await engine.submit(replace(pipeline, settings=alone), trigger, job_id=new_job_id)


async def approve(engine: Engine, job: Job, commit_sha: str, by: str) -> Job:
    """Let a job run that waits for an approval, which is for exactly this commit. Raises Conflict."""
    if job.status.ended:
        raise Conflict(
            "approval-not-needed",
            f"{job.label} does not wait for an approval",
            hint="danube explain JOB shows what it waits for",
        )
    await engine.created(job.id)
    approved = await engine.active_job(job.id).apply(ev.Approved(by, commit_sha))
    engine.wake_scheduler()
    return approved
