"""The job engine: jobs are submitted, admitted, performed and closed.

    observe (calls, runtime watch, timers) → decide (core.jobs) → store (one transaction) → act (effects) → observe

There is no separate recovery path: `running` loads what is unfinished, and derives the same tasks from it that a server
has which was never restarted. The queue is the table of jobs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from danube_pkg.core.errors import Conflict, NotFound, PlatformError
from danube_pkg.core.identity.access import unknown_pipeline
from danube_pkg.core.jobs.clock_jumps import with_clock_moved
from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.events import CancelRequested, ClockMoved, PodReleased
from danube_pkg.core.jobs.job import Job, unknown_job
from danube_pkg.core.jobs.kept_pods import not_kept
from danube_pkg.core.jobs.ports import Listener
from danube_pkg.core.jobs.queue import QueuePosition
from danube_pkg.core.jobs.steps import FOLLOWED
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import FollowUp
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.kit.free_memory import is_memory_short
from danube_pkg.kit.loops import Pauses, Streak, for_ever
from danube_pkg.kit.tasks import TaskOwner, logged, until
from danube_pkg.services.health.room import DiskRoom
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.clock_watch import READ_SECONDS
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.effects.performer import EffectPerformer
from danube_pkg.services.jobs.job_tasks import JobTasks, server_stopping
from danube_pkg.services.jobs.kept_pods import KeptPods
from danube_pkg.services.jobs.pods import PodReconciler
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.scheduler import Scheduler
from danube_pkg.services.jobs.submission import Submission
from danube_pkg.services.jobs.waits import Slots
from danube_pkg.services.notifications.observer import JobObserver

FORGET_SECONDS = 60.0
"""Between two checks whether replaced secrets are needed by no job any more."""

_log = logging.getLogger("danube.jobs")


class Engine:
    """All jobs that are not closed. `async with engine.running():` owns all its tasks.

    observer: also holds the applied configuration. coordinator_command: see `JobTasks`. room: no job starts without.
    """

    def __init__(
        self,
        ports: EnginePorts,
        resources: JobResources,
        performer: EffectPerformer,
        observer: JobObserver,
        draining: Draining,
        coordinator_command: str,
        room: DiskRoom,
    ) -> None:
        self._ports = ports
        self._resources = resources
        self._observer = observer
        self.draining = draining
        self._active: dict[str, ActiveJob] = {}
        self._stopping = asyncio.Event()
        self._scheduler = Scheduler(self._active, observer.applied, draining, ports.timing, ports.new_id, room)
        kept_pods = KeptPods(
            ports.runtime,
            ports.clock,
            self._active,
            lambda: observer.applied.config.kept_pod_bounds,
            lambda: not room.has_room() or is_memory_short(),
            lambda: draining.active,
        )
        self._tasks = JobTasks(
            self._active, ports, resources, performer, self._scheduler.wake, coordinator_command, kept_pods
        )
        self._submission = Submission(ports, observer, self._tasks, partial(self._take_up, owed=()))
        self._pods = PodReconciler(ports.runtime, ports.timing, self._active, self._tasks.ensure, resources.log)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Make unfinished jobs active, and serve until the block is left; pods keep running then."""
        owner = TaskOwner(logged(_log))
        self._tasks.open(owner)
        try:
            seconds = await self._clock_jump()
            for stored in await self._ports.jobs.unfinished_jobs():
                job = with_clock_moved(stored, seconds) if seconds else stored
                if job is not stored:
                    await self._ports.jobs.save_job(job)
                self._take_up(job, await self._ports.jobs.owed_effects(job.id))
            owner.start("runtime-watch", self._pods.watch())
            owner.start("reconcile", self._pods.keep_reconciled())
            owner.start("scheduler", self._scheduler.run())
            owner.start("forget-secrets", self._forget_secrets())
            if self._ports.clock_watch is not None:
                owner.start("clock", self._follow_clock())
            yield
        finally:
            await owner.close()
            self._tasks.close()
            for active in self._active.values():
                await self._resources.source(active).close()

    def _take_up(self, job: Job, owed: Sequence[Effect]) -> None:
        if job.id not in self._active:
            ports = self._ports
            self._tasks.add(ActiveJob(job, owed, ports.jobs, ports.clock, self._tasks.derive, self._observer))

    async def _clock_jump(self) -> float:
        watch = self._ports.clock_watch
        return await watch.jump() if watch is not None else 0.0

    async def _follow_clock(self) -> None:
        streak = Streak("clock", self._ports.timing, Pauses(1.0, READ_SECONDS), log=_log)
        await for_ever(
            self._check_clock, streak, self._ports.timing, expected=(PlatformError,), pause_first=READ_SECONDS
        )

    async def _check_clock(self) -> float:
        if seconds := await self._clock_jump():
            for active in list(self._active.values()):
                await active.apply(ClockMoved(seconds))
        return READ_SECONDS

    async def _forget_secrets(self) -> None:
        timing = self._ports.timing
        streak = Streak("forget-secrets", timing, Pauses(1.0, FORGET_SECONDS), log=_log)
        await for_ever(self._forget_round, streak, timing, expected=(PlatformError,), pause_first=FORGET_SECONDS)

    async def _forget_round(self) -> float:
        """A replaced secret is masked until every job has ended that was created before, and could have read it."""
        oldest = min((active.job.created_at for active in self._active.values()), default=self._ports.clock.now())
        await self._ports.secrets.forget_retired(oldest)
        return FORGET_SECONDS

    @property
    def slots(self) -> Slots:
        """Lends the slot of a job that waits for something outside of its pod."""
        return self._scheduler

    # --- jobs as they are

    @property
    def open_jobs(self) -> Sequence[Job]:
        """Those that are not closed: waiting, running, or with a pod that is being removed."""
        return [active.job for active in self._active.values()]

    @property
    def jobs_with_tasks(self) -> int:
        """How many jobs have tasks: as many as are open, but for a moment."""
        return self._tasks.running

    @property
    def followed_steps(self) -> int:
        """How many attempts of steps are followed at this moment."""
        return sum(step.phase in FOLLOWED for active in self._active.values() for step in active.job.steps)

    def source_period(self, job_id: str) -> tuple[float, float] | None:
        """When an active job's source tree was prepared, in Unix seconds; None where that is not known."""
        active = self._active.get(job_id)
        return active.source_period if active is not None else None

    @property
    def is_held(self) -> bool:
        """Whether waiting jobs are not started because the disk has no room."""
        return self._scheduler.is_held

    async def created(self, job_id: str) -> None:
        """Wait while a job is stored and not yet active: lists show it already, so it can be watched and cancelled."""
        await self._submission.finished(job_id)

    def active_job(self, job_id: str) -> ActiveJob:
        """Raises NotFound for a job that is closed or never existed."""
        active = self._active.get(job_id)
        if active is None:
            raise NotFound("job-not-active", f"job {job_id} is not active", hint="see: danube jobs")
        return active

    def waits_of(self, job_id: str) -> Sequence[str]:
        """Sentences about what a job that has started waits for outside of its pod."""
        active = self._active.get(job_id)
        found = active.waits.sentences() if active is not None else ()
        return (*found, "Others start in its slot meanwhile.") if self._scheduler.is_lent(job_id) else found

    async def find(self, job_id: str) -> Job | None:
        """A job as it is now, active or closed."""
        active = self._active.get(job_id)
        return active.job if active is not None else await self._ports.jobs.load_job(job_id)

    @asynccontextmanager
    async def watch(self, job_id: str) -> AsyncIterator[AsyncIterator[Job]]:
        """The present state of a job, then each newer one, until it is closed. Raises NotFound."""
        await self.created(job_id)
        active = self._active.get(job_id)
        if active is not None:
            async with active.watch() as states:
                yield states
            return
        job = await self._ports.jobs.load_job(job_id)
        if job is None:
            raise unknown_job(job_id)
        yield _only(job)

    async def wait_for_log(self, job_id: str) -> None:
        """Until the job's log can be followed (its pod may take minutes), or the job has ended."""
        if (active := self._active.get(job_id)) is not None:
            await active.wait_until(lambda job: active.has_log or job.status.ended)

    def listen(self, listener: Listener) -> None:
        """See `JobTasks.listen`."""
        self._tasks.listen(listener)

    def waiting(self, job: Job) -> QueuePosition:
        """What a waiting job waits for."""
        return self._scheduler.waiting(job)

    # --- what users and triggers request

    async def triggerable(self, name: str) -> Pipeline:
        """A pipeline of which a job may be created now. Raises NotFound, Unavailable."""
        self.draining.check()
        known = await self._ports.pipelines.load_pipeline(name)
        if known is None or known.removed:
            raise unknown_pipeline(name)
        return known

    async def revision(self, pipeline: Pipeline, ref: str) -> Revision:
        """What a ref of a pipeline's repository names now. Raises Permanent `source-unavailable`, Unavailable.

        A server that stops does not wait for the repository: nothing is stored yet.
        """
        resolving = self._ports.sources.resolve(pipeline.settings.repository, ref)
        found = await until(self._stopping.wait(), resolving, name=f"resolve {pipeline.name}")
        if found is None:
            raise server_stopping("the server is stopping, and no job was created")
        return found

    async def submit(
        self, pipeline: Pipeline, trigger: Trigger, *, job_id: str | None = None, reason: Reason = Reason.QUEUED
    ) -> Job:
        """Queue a job; once this returns, it survives a restart. Where `job_id` is taken, the job that has it is
        returned.

        Raises Unavailable, StorageFull.
        """
        return await self._submission.submit(pipeline, trigger, job_id, reason)

    async def submit_all(
        self, starts: Sequence[tuple[Pipeline, Trigger]], follow_up: FollowUp, settled: Settlement
    ) -> Sequence[Job]:
        """Queue the jobs that an inbox entry starts, and settle the entry, in one transaction. A job that this entry
        started before is returned instead of a second one. Raises Unavailable, StorageFull."""
        return await self._submission.submit_all(starts, follow_up, settled)

    async def cancel(self, job_id: str, by: str, reason: Reason = Reason.CANCELLED) -> Job:
        """End a job whose outcome is not decided. Raises NotFound; Conflict where the job ends in another way."""
        await self.created(job_id)
        active = self._active.get(job_id)
        if active is None or active.job.status.ended:
            job = active.job if active else await self._ports.jobs.load_job(job_id)
            if job is None:
                raise unknown_job(job_id)
            if not job.status.ended:
                raise server_stopping(f"the server is stopping; {job.label} waits for the next one")
            raise Conflict(
                "job-ended", f"{job.label} has ended already: {job.status}", hint="run it again: danube rerun JOB"
            )
        job = await active.apply(CancelRequested(by, reason))
        if job.outcome is not Status.CANCELLED:
            raise Conflict(
                "job-ended", f"{job.label} is ending already: {job.outcome}", hint="run it again: danube rerun JOB"
            )
        return job

    async def release_pod(self, job_id: str) -> Job:
        """Remove the kept pod of a failed job before its time is over. Raises NotFound, Conflict `pod-not-kept`."""
        job = await self.find(job_id)
        if job is None:
            raise unknown_job(job_id)
        if job.kept_until is None:
            raise not_kept(job)
        return await self.active_job(job_id).apply(PodReleased())

    def stop_accepting(self) -> None:
        """The server will stop: requests that wait for a repository are refused now."""
        self._stopping.set()

    def wake_scheduler(self) -> None:
        """A waiting job may be admissible now."""
        self._scheduler.wake()


async def _only(job: Job) -> AsyncIterator[Job]:
    yield job
