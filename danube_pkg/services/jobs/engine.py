"""The job engine: triggers, admission, and for each job that is not closed its mailbox, its effects and its followers.

    observe (RPC, runtime watch, timers) → decide (core.jobs) → record (one transaction) → act (effects) → feed back

There is no separate recovery path: `run` loads what is unfinished and derives from it what a running engine has anyway.
The queue is the table of jobs; who starts next is `core.jobs.queue.choose`.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from danube_pkg.core.errors import Conflict, NotFound, PlatformError, Retryable, Unavailable
from danube_pkg.core.identity.access import unknown_pipeline
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import (
    COORDINATOR_SEQUENCE,
    Job,
    Phase,
    reason_to_wait,
    unknown_job,
)
from danube_pkg.core.jobs.ports import Listener
from danube_pkg.core.jobs.queue import QueuePosition
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp, merged_follow_ups
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.ports import SourceTree
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.store import JobStore
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.tasks import TaskOwner, end_all, logged, until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.effects import EffectPerformer
from danube_pkg.services.jobs.masks import MaskSource
from danube_pkg.services.jobs.pods import PodReconciler
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.scheduler import Scheduler
from danube_pkg.services.jobs.source_trees import JobSource, source_lines
from danube_pkg.services.jobs.steps import (
    StepFollower,
    container_of,
    coordinator_request,
)
from danube_pkg.services.notifications.observer import JobObserver

RETRY_CAP_SECONDS = 30.0
"""A job's task that failed is begun again after at most this: no failure of a moment may leave a job without its deadline,
its followers or its effects."""

FORGET_SECONDS = 60.0
"""Between two looks whether a replaced secret is needed by no job any more."""

_log = logging.getLogger("danube.jobs")


class Engine:
    """All jobs that are not closed. `async with engine.running():` owns every task of it.

    observer: also holds the applied configuration. coordinator_command: what the coordinator's container runs; it holds no secret.
    """

    def __init__(
        self, ports: EnginePorts, masks: MaskSource, observer: JobObserver, draining: Draining, coordinator_command: str
    ) -> None:
        self._ports = ports
        self.masks = masks
        self._observer = observer
        self._applied = observer.applied
        self.draining = draining
        self._coordinator_command = coordinator_command
        self._performer = EffectPerformer(ports, self.open_log)
        self._live: dict[str, ActiveJob] = {}
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._owner: TaskOwner | None = None
        self._scheduler = Scheduler(self._live, self._applied, draining, ports.clock, ports.new_id)
        self._listeners: list[Listener] = []
        self._pods = PodReconciler(ports.runtime, ports.clock, self._live, self._ensure, self.open_log)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take up what is unfinished, serve until the block is left; pods go on without us."""
        owner = self._owner = TaskOwner(logged(_log))
        try:
            for job in await self._ports.jobs.unfinished_jobs():
                self._take_up(job, ActiveJob(job, await self._ports.jobs.owed_effects(job.id), *self._live_parts()))
            owner.start("runtime-watch", self._pods.watch())
            owner.start("reconcile", self._pods.keep_reconciled())
            owner.start("scheduler", self._scheduler.run())
            owner.start("forget-secrets", self._forget_loop())
            yield
        finally:
            await owner.close()
            self._owner = None
            for live in self._live.values():
                await self.source(live).close()

    def _live_parts(self) -> tuple[JobStore, Clock, Callable[[ActiveJob], None], JobObserver]:
        return self._ports.jobs, self._ports.clock, self._derive, self._observer

    # --- what people and triggers ask for

    async def triggerable(self, name: str) -> Pipeline:
        """A pipeline of which there may be a new job now. Raises NotFound, Unavailable."""
        self.draining.check()
        known = await self._ports.pipelines.load_pipeline(name)
        if known is None or known.removed:
            raise unknown_pipeline(name)
        return known

    async def find(self, job_id: str) -> Job | None:
        """A job as it is now, live or stored."""
        live = self._live.get(job_id)
        return live.job if live is not None else await self._ports.jobs.load_job(job_id)

    async def revision(self, pipeline: Pipeline, ref: str) -> Revision:
        """What a ref of a pipeline's repository names now. Raises Permanent `source-unavailable`, Unavailable."""
        return await self._ports.sources.resolve(pipeline.settings.repository, ref)

    @property
    def open_jobs(self) -> Sequence[Job]:
        """Those that are not closed: waiting, running, or with a pod that is being removed."""
        return [live.job for live in self._live.values()]

    async def submit(
        self, pipeline: Pipeline, trigger: Trigger, *, job_id: str | None = None, reason: Reason = Reason.QUEUED
    ) -> Job:
        """Queue a job; once this returns it survives everything. With a `job_id` that is taken it is the job that has it."""
        job = self._new_job(pipeline, trigger, job_id or self._ports.new_id(), reason)
        return (await self._add([job], NO_FOLLOW_UP, None))[0]

    async def submit_all(
        self, starts: Sequence[tuple[Pipeline, Trigger]], told: FollowUp, settled: Settlement
    ) -> Sequence[Job]:
        """Queue what an entry of the inbox starts, and settle it, in one transaction. A job that was made of that entry
        before stands for the one that would be made again. Raises Unavailable, StorageFull."""
        jobs = [
            self._new_job(pipeline, trigger, self._ports.new_id(), reason_to_wait(trigger))
            for pipeline, trigger in starts
        ]
        return await self._add(jobs, told, settled)

    def _new_job(self, pipeline: Pipeline, trigger: Trigger, job_id: str, reason: Reason) -> Job:
        return Job(
            id=job_id,
            reason=reason,
            pipeline_id=pipeline.id,
            pipeline=pipeline.name,
            trigger=trigger,
            settings=pipeline.settings.allowing(self._applied.config.egress_allowlist),
            created_at=self._ports.clock.now(),
        )

    async def _add(self, jobs: Sequence[Job], told: FollowUp, settled: Settlement | None) -> Sequence[Job]:
        """In a task of its own: a caller that leaves must not leave behind a job that nobody takes up."""
        if self._owner is None:
            raise Unavailable(
                "server-stopping", "the server is stopping", hint="ask again in a moment: the next server goes on"
            )
        answer: asyncio.Future[Sequence[Job]] = asyncio.get_running_loop().create_future()
        name = f"submit {jobs[0].id}" if jobs else "settle"
        self._owner.start(name, self._add_for(jobs, told, settled, answer))
        return await answer

    async def _add_for(
        self, jobs: Sequence[Job], told: FollowUp, settled: Settlement | None, answer: asyncio.Future[Sequence[Job]]
    ) -> None:
        told = merged_follow_ups(told, *(self._observer.follow_up_of(None, job) for job in jobs))
        try:
            queued = await self._ports.jobs.create_jobs(jobs, told, settled)
            self._observer.stored(told)
            for job in queued:
                if job.id not in self._live and job.phase is not Phase.CLOSED:
                    self._take_up(job, ActiveJob(job, (), *self._live_parts()))
        except BaseException as error:
            if not answer.done():
                stopping = Unavailable(
                    "server-stopping",
                    "the server is stopping; look whether it knows the job",
                    hint="ask again in a moment: the next server goes on",
                )
                answer.set_exception(error if isinstance(error, Exception) else stopping)
            if not isinstance(error, PlatformError):
                raise
            return
        if not answer.done():
            answer.set_result(queued)
        for job in queued:
            fields = {"job": job.id, "pipeline": job.pipeline, "actor": job.trigger.actor, "trigger": job.trigger.type}
            _log.info("job-queued", extra={"fields": fields})

    async def cancel(self, job_id: str, by: str, reason: Reason = Reason.CANCELLED) -> Job:
        """End a job that has not ended. Raises NotFound, Conflict."""
        live = self._live.get(job_id)
        if live is None or live.job.status.ended:
            job = live.job if live else await self._ports.jobs.load_job(job_id)
            if job is None:
                raise unknown_job(job_id)
            if not job.status.ended:
                raise Unavailable("job-not-taken-up", f"{job.label} was made this very moment", hint="try again")
            raise Conflict(
                "job-ended", f"{job.label} has ended already: {job.status}", hint="run it again: danube rerun JOB"
            )
        return await live.apply(ev.CancelAsked(by, reason))

    @asynccontextmanager
    async def watch(self, job_id: str) -> AsyncIterator[AsyncIterator[Job]]:
        """The present state of a job, then each newer one, until it is closed. Raises NotFound."""
        live = self._live.get(job_id)
        if live is not None:
            async with live.watch() as states:
                yield states
            return
        job = await self._ports.jobs.load_job(job_id)
        if job is None:
            raise unknown_job(job_id)
        yield _only(job)

    async def wait_for_log(self, job_id: str) -> None:
        """Until the job's log is there to be followed (its pod may take minutes to be made), or the job has ended."""
        if (live := self._live.get(job_id)) is not None:
            await live.wait_until(lambda job: live.log is not None or job.status.ended)

    def live(self, job_id: str) -> ActiveJob:
        """The live job; raises NotFound for one that is closed or was never there."""
        live = self._live.get(job_id)
        if live is None:
            raise NotFound("job-not-active", f"job {job_id} is not active", hint="look at it: danube jobs")
        return live

    def listen(self, listener: Listener) -> None:
        """Call it with each new state of each job, in the job's own task: it must be quick and must not raise."""
        self._listeners.append(listener)

    def wake_scheduler(self) -> None:
        """A waiting job may be admissible now."""
        self._scheduler.wake()

    def waiting(self, job: Job) -> QueuePosition:
        """What a waiting job waits for."""
        return self._scheduler.waiting(job)

    # --- what is derived from a job's state

    def _take_up(self, job: Job, live: ActiveJob) -> None:
        if self._owner is None:
            raise Unavailable(
                "server-stopping", "the server is stopping", hint="ask again in a moment: the next server goes on"
            )
        self._live[job.id] = live
        self._tasks[job.id] = {}
        self._ensure(live, "mailbox", live.run_mailbox)
        self._ensure(live, "effects", partial(self._performer.run, live))
        self._derive(live)
        self._scheduler.wake()

    def _ensure(self, live: ActiveJob, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Each named task of a job is started once, however often the state that calls for it is seen, and ends when its
        work was done."""
        tasks = self._tasks.get(live.job.id)
        if self._owner is not None and tasks is not None and name not in tasks:
            tasks[name] = self._owner.start(f"{name} {live.job.id}", self._until_done(live, name, work))

    async def _until_done(self, live: ActiveJob, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        backoff = Backoff(0.1, RETRY_CAP_SECONDS, random.random)
        while True:
            try:
                return await work()
            except Retryable as error:
                _log.warning("task-retried", extra={"fields": {"job": live.job.id, "task": name, "cause": str(error)}})
            except Exception as error:  # noqa: BLE001 - a bug in one task must not leave its job without it
                _log.exception("task-failed", extra={"fields": {"job": live.job.id, "task": name, "cause": str(error)}})
            await self._ports.clock.sleep(backoff.next())

    def _derive(self, live: ActiveJob) -> None:
        """After each commit: followers of placed steps, the deadline, the end of a closed job."""
        job = live.job
        for listener in self._listeners:
            self._tell(listener, job)
        if job.phase is Phase.CLOSED:
            self._scheduler.wake()
            self._ensure(live, "close", partial(self._close, live))
            return
        if job.phase is Phase.PREPARING:
            self._ensure(live, "source", self.source(live).prepare)
        if job.deadline_at is not None and job.phase in (Phase.PREPARING, Phase.RUNNING):
            self._ensure(live, "deadline", partial(self._deadline, live))
        for step in job.steps:
            if step.phase in (StepPhase.PLACED, StepPhase.STARTED):
                self._ensure(live, f"step {step.sequence}.{step.attempt}", partial(self._follow, live, step))

    def _tell(self, listener: Listener, job: Job) -> None:
        """Whatever it does wrong, the job goes on: what follows from its new state must be started."""
        try:
            listener(job)
        except Exception as error:  # noqa: BLE001 - somebody else's bug
            _log.exception("listener-failed", extra={"fields": {"job": job.id, "cause": str(error)}})

    async def _close(self, live: ActiveJob) -> None:
        """Forget a closed job; its own tasks are ended last, since one of them got us here."""
        job = live.job
        tasks = self._tasks.pop(job.id, {})
        self._live.pop(job.id, None)
        live.notify()
        _log.info("job-closed", extra={"fields": {"job": job.id, "status": str(job.status), "reason": str(job.reason)}})
        await end_all(*(task for task in tasks.values() if task is not asyncio.current_task()))
        await self.source(live).close()

    async def _deadline(self, live: ActiveJob) -> None:
        deadline_at = live.job.deadline_at or 0.0
        await self._ports.clock.sleep(max(0.0, deadline_at - self._ports.clock.now()))
        await live.apply(ev.DeadlinePassed())

    async def _follow(self, live: ActiveJob, step: Step) -> None:
        """The follower of a placed attempt, ended early when that ends by another event."""

        def is_over(job: Job) -> bool:
            now = live.step(step.sequence)
            return now.attempt != step.attempt or now.phase is StepPhase.ENDED

        if is_over(live.job):
            return
        log = await self.open_log(live)
        if step.sequence == COORDINATOR_SEQUENCE:
            live.memory(step.sequence).request = coordinator_request(
                live.job, self._coordinator_command, self._ports.clock.now()
            )
        follower = StepFollower(live, log, step, container_of(live.job.pod_id, step), self._ports)
        await until(live.wait_until(is_over), follower.run(), name=f"follow {step.id}")
        follower.conclude()
        if live.step(step.sequence).phase is StepPhase.ENDED:
            live.memory(step.sequence).request = live.memory(step.sequence).end = None

    def source(self, live: ActiveJob) -> JobSource:
        """The job's source tree."""
        if live.source is None:
            live.source = JobSource(self._ports.sources, live.job, partial(self._source_opened, live))
        return live.source

    async def _source_opened(self, live: ActiveJob, source: SourceTree) -> None:
        await live.apply(ev.SourceOpened(source.rule, source.commit_message, source.commit_author))
        for key, line in source_lines(live.job, source):
            (await self.open_log(live)).note(key, 0, line)

    async def open_log(self, live: ActiveJob) -> JobLog:
        """The job's log, masking everything that the job could read, and its own token."""
        async with live.log_lock:
            if live.log is None:
                live.log = self._ports.logs.open(
                    live.job.id,
                    secrets=await self.masks.values(live.job),
                    limit_bytes=live.job.settings.log_limit_mb * 1024**2,
                )
                live.notify()
            return live.log

    # --- loops

    async def _forget_loop(self) -> None:
        """A replaced secret stays known until every job that could have read it has ended: one that was made before."""
        while True:
            await self._ports.clock.sleep(FORGET_SECONDS)
            oldest = min((live.job.created_at for live in self._live.values()), default=self._ports.clock.now())
            try:
                await self._ports.secrets.forget_retired(oldest)
            except PlatformError as error:
                _log.warning("secrets-not-forgotten", extra={"fields": {"cause": str(error)}})


async def _only(job: Job) -> AsyncIterator[Job]:
    yield job
