"""Creates jobs: in one transaction with the inbox entry that starts them, and with what must follow."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.job import Job, Phase, initial_reason, start_message
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp, merged_follow_ups
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Reason
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.job_tasks import JobTasks, server_stopping
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.notifications.observer import JobObserver

_log = logging.getLogger("danube.jobs")


class Submission:
    """take_up: makes a stored job active; it ignores one that is."""

    def __init__(
        self, ports: EnginePorts, observer: JobObserver, tasks: JobTasks, take_up: Callable[[Job], None]
    ) -> None:
        self._ports = ports
        self._observer = observer
        self._tasks = tasks
        self._take_up = take_up
        self._unfinished: dict[asyncio.Event, frozenset[str]] = {}  # the jobs that each submission creates

    async def finished(self, job_id: str) -> None:
        """Wait until the submission that creates this job has made it active, or has failed."""
        for finished, job_ids in list(self._unfinished.items()):
            if job_id in job_ids:
                await finished.wait()

    async def submit(self, pipeline: Pipeline, trigger: Trigger, job_id: str | None, reason: Reason) -> Job:
        """See `Engine.submit`."""
        trigger = await self._with_approval(pipeline, trigger.without_member())
        reason = reason if not trigger.is_untrusted else initial_reason(trigger)
        job = self._new_job(pipeline, trigger, job_id or self._ports.new_id(), reason)
        return (await self._add([job], NO_FOLLOW_UP, None))[0]

    async def submit_all(
        self, starts: Sequence[tuple[Pipeline, Trigger]], follow_up: FollowUp, settled: Settlement
    ) -> Sequence[Job]:
        """See `Engine.submit_all`."""
        approved = [(pipeline, await self._with_approval(pipeline, trigger)) for pipeline, trigger in starts]
        jobs = [
            self._new_job(pipeline, trigger, self._ports.new_id(), initial_reason(trigger))
            for pipeline, trigger in approved
        ]
        return await self._add(jobs, follow_up, settled)

    async def _with_approval(self, pipeline: Pipeline, trigger: Trigger) -> Trigger:
        """Untrusted code that was approved before, for this pipeline, commit and target branch, is still approved."""
        if not trigger.is_untrusted:
            return trigger
        commit_sha = trigger.revision.commit_sha
        by = await self._ports.jobs.approver(pipeline.id, commit_sha, trigger.target_branch) if commit_sha else ""
        return replace(trigger, approved_by=by)

    def _new_job(self, pipeline: Pipeline, trigger: Trigger, job_id: str, reason: Reason) -> Job:
        settings, allowed = pipeline.settings, self._observer.applied.config.egress_allowlist
        return Job(
            id=job_id,
            reason=reason,
            message=start_message(trigger),
            pipeline_id=pipeline.id,
            pipeline=pipeline.name,
            trigger=trigger,
            settings=settings.allowing(allowed) if trigger.rebuild is None else settings,
            created_at=self._ports.clock.now(),
            configuration=self._observer.applied.revision.revision,
        )

    async def _add(self, jobs: Sequence[Job], follow_up: FollowUp, settled: Settlement | None) -> Sequence[Job]:
        """In a task of its own: a caller that is cancelled must not leave a stored job that is not active."""
        answer: asyncio.Future[Sequence[Job]] = asyncio.get_running_loop().create_future()
        name = f"submit {jobs[0].id}" if jobs else "settle"
        self._tasks.start(name, partial(self._add_for, jobs, follow_up, settled, answer))
        return await answer

    async def _add_for(
        self,
        jobs: Sequence[Job],
        follow_up: FollowUp,
        settled: Settlement | None,
        answer: asyncio.Future[Sequence[Job]],
    ) -> None:
        follow_up = merged_follow_ups(follow_up, *(self._observer.follow_up_of(None, job) for job in jobs))
        finished = asyncio.Event()
        self._unfinished[finished] = frozenset(job.id for job in jobs)
        try:
            queued = await self._ports.jobs.create_jobs(jobs, follow_up, settled)
            self._observer.stored(follow_up)
            for job in queued:
                if job.phase is not Phase.CLOSED:
                    self._take_up(job)
        except BaseException as error:
            if not answer.done():
                unknown = server_stopping("the server is stopping; whether the job was created is not known")
                answer.set_exception(error if isinstance(error, Exception) else unknown)
            if not isinstance(error, PlatformError):
                raise
            return
        finally:
            del self._unfinished[finished]
            finished.set()
        if not answer.done():
            answer.set_result(queued)
        for job in queued:
            fields = {"job": job.id, "pipeline": job.pipeline, "actor": job.trigger.actor, "trigger": job.trigger.type}
            _log.info("job-queued", extra={"fields": fields})
