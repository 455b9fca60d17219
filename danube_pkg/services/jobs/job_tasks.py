"""The tasks of each active job, derived from its state: mailbox, effects, deadline, source, followers of steps.

A task is started when a state calls for it, and once for each name, however often that state is seen. A restarted
server therefore starts from the stored state the same tasks that the killed one had.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from danube_pkg.core.errors import Retryable, Unavailable
from danube_pkg.core.jobs.concurrency import is_unresolved
from danube_pkg.core.jobs.events import DeadlinePassed
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.ports import Listener
from danube_pkg.core.jobs.steps import FOLLOWED, Step, StepPhase
from danube_pkg.kit.loops import Bugs, Pauses, Streak, until_done
from danube_pkg.kit.tasks import TaskOwner, end_all, until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.approval_waits import ApprovalWait
from danube_pkg.services.jobs.effects.performer import EffectPerformer
from danube_pkg.services.jobs.follower import StepFollower
from danube_pkg.services.jobs.grace import end_grace, stop_until_ended
from danube_pkg.services.jobs.kept_pods import KeptPods
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.ref_lookup import look_up
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.sealing import seal_while_running
from danube_pkg.services.jobs.supervisor_calls import coordinator_request

PAUSES = Pauses(0.1, 30.0)
"""A failed task is restarted: no failure of a moment may leave a job without its deadline, followers or effects."""

_HAS_A_DEADLINE = (Phase.PREPARING, Phase.RUNNING)

Work = Callable[[], Coroutine[Any, Any, None]]

_log = logging.getLogger("danube.jobs")


class JobTasks:
    """Owns the tasks of the jobs in `active`, from `open` to `close`.

    queue_changed: called when a job was added or closed. coordinator_command: what the coordinator's container runs; it
    holds no secret.
    """

    def __init__(
        self,
        active: dict[str, ActiveJob],
        ports: EnginePorts,
        resources: JobResources,
        performer: EffectPerformer,
        queue_changed: Callable[[], None],
        coordinator_command: str,
        kept_pods: KeptPods,
    ) -> None:
        self._active = active
        self._ports = ports
        self._resources = resources
        self._performer = performer
        self._queue_changed = queue_changed
        self._coordinator_command = coordinator_command
        self._kept_pods = kept_pods
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._owner: TaskOwner | None = None
        self._listeners: list[Listener] = []

    @property
    def running(self) -> int:
        """How many jobs have tasks."""
        return len(self._tasks)

    def open(self, owner: TaskOwner) -> None:
        """Start tasks from now on, with this owner."""
        self._owner = owner

    def close(self) -> None:
        """Start no more tasks; the owner ends those that run."""
        self._owner = None

    def listen(self, listener: Listener) -> None:
        """Call it with each new state of each job, in the job's own task: it must be quick and must not raise."""
        self._listeners.append(listener)

    def start(self, name: str, work: Work) -> None:
        """A task that belongs to no job yet. Raises Unavailable when the server is stopping."""
        if self._owner is None:
            raise server_stopping("the server is stopping")
        self._owner.start(name, work())

    def add(self, active: ActiveJob) -> None:
        """Make a job active, with the tasks that its state calls for. Raises Unavailable when the server is
        stopping."""
        if self._owner is None:
            raise server_stopping("the server is stopping")
        self._active[active.job.id] = active
        self._tasks[active.job.id] = {}
        self.ensure(active, "mailbox", active.mailbox.run)
        self.ensure(active, "effects", partial(self._performer.run, active))
        self.derive(active)
        self._queue_changed()

    def ensure(self, active: ActiveJob, name: str, work: Work) -> None:
        """A task of the job, once for each name; it is restarted after a failure, and ends when its work is done."""
        tasks = self._tasks.get(active.job.id)
        if self._owner is not None and tasks is not None and name not in tasks:
            tasks[name] = self._owner.start(f"{name} {active.job.id}", self._until_done(active, name, work))

    async def _until_done(self, active: ActiveJob, name: str, work: Work) -> None:
        timing = self._ports.timing
        streak = Streak("task", timing, PAUSES, log=_log, fields={"job": active.job.id, "task": name})
        await until_done(work, streak, timing, expected=(Retryable,), bugs=Bugs.RETRY)

    def derive(self, active: ActiveJob) -> None:
        """After each commit: inform listeners, and start the tasks that the new state calls for."""
        job = active.job
        for listener in self._listeners:
            _inform(listener, job)
        if job.phase is Phase.CLOSED:
            self._queue_changed()
            self.ensure(active, "close", partial(self._remove, active))
            return
        if job.kept_until is not None:
            self._queue_changed()
            self.ensure(active, "kept pod", partial(self._kept_pods.keep, active))
        if is_unresolved(job):
            self.ensure(active, "commit", partial(self._find_commit, active))
        if job.phase is Phase.PREPARING:
            self.ensure(active, "source", partial(self._prepare_source, active))
        if job.deadline_at is not None and job.phase in _HAS_A_DEADLINE:
            self.ensure(active, "deadline", partial(self._deadline, active))
        if job.is_ending:
            self.ensure(active, "grace", partial(self._grace, active))
            for step in job.interrupted_steps:
                stop = partial(stop_until_ended, active, step.sequence, self._ports)
                self.ensure(active, f"stop {step.sequence}", stop)
        if job.phase is Phase.RUNNING:
            self.ensure(active, "seals", partial(seal_while_running, active, self._ports))
            for approval in job.approvals:
                wait = ApprovalWait(active, approval.sequence, self._ports, self._resources, self._queue_changed)
                self.ensure(active, f"approval {approval.sequence}", wait.run)
        for step in job.steps:
            if step.phase in FOLLOWED:
                self.ensure(active, f"step {step.sequence}.{step.attempt}", partial(self._follow, active, step))

    async def _remove(self, active: ActiveJob) -> None:
        """Remove a closed job from memory and end its tasks, this one excepted."""
        job = active.job
        tasks = self._tasks.pop(job.id, {})
        self._active.pop(job.id, None)
        active.notify()
        _log.info("job-closed", extra={"fields": {"job": job.id, "status": str(job.status), "reason": str(job.reason)}})
        await end_all(*(task for task in tasks.values() if task is not asyncio.current_task()))
        await self._resources.source(active).close()

    async def _find_commit(self, active: ActiveJob) -> None:
        await look_up(active, self._resources.source(active), self._ports, self._queue_changed)

    async def _prepare_source(self, active: ActiveJob) -> None:
        began = self._ports.clock.now()
        await self._resources.source(active).prepare()
        active.source_period = began, self._ports.clock.now()

    async def _deadline(self, active: ActiveJob) -> None:
        """A wait for an approval stops the time: the deadline is later behind it. A job that is ending has another."""
        while active.job.phase in _HAS_A_DEADLINE and not active.job.is_ending:
            if active.job.waits_for_approval:
                await active.wait_until(lambda job: not job.waits_for_approval)
                continue
            deadline_at = active.job.deadline_at or 0.0
            left = deadline_at - self._ports.clock.now()
            if left <= 0:
                await active.apply(DeadlinePassed())
                continue
            waits = active.wait_until(lambda job: job.waits_for_approval)
            await until(waits, self._ports.clock.sleep(left), name=f"deadline {active.job.id}")

    async def _grace(self, active: ActiveJob) -> None:
        await end_grace(active, await self._resources.log(active), self._ports)

    async def _follow(self, active: ActiveJob, step: Step) -> None:
        """Follow a placed attempt until it ends, by its follower or by another event."""

        def is_over(job: Job) -> bool:
            now = active.step(step.sequence)
            return now.attempt != step.attempt or now.phase is StepPhase.ENDED

        if is_over(active.job):
            return
        log = await self._resources.log(active)
        if step.sequence == COORDINATOR_SEQUENCE:
            request = coordinator_request(active.job, self._coordinator_command, self._ports.clock.now())
            active.steps.keep_request(step.sequence, request)
        follower = StepFollower(active, log, step, self._ports)
        await until(active.wait_until(is_over), follower.run(), name=f"follow {step.id}")
        follower.conclude()
        if (capture := active.captures.pop(step.sequence, None)) is not None:  # the step has ended without a record
            await capture.close()
        if active.step(step.sequence).phase is StepPhase.ENDED:
            active.steps.drop_request(step.sequence)
            active.steps.drop_end(step.sequence)


def server_stopping(what: str) -> Unavailable:
    """The error of a request that comes while the server stops."""
    return Unavailable("server-stopping", what, hint="repeat the request when the next server runs")


def _inform(listener: Listener, job: Job) -> None:
    """An exception of a listener must not keep the job's tasks from starting."""
    try:
        listener(job)
    except Exception as error:  # noqa: BLE001 - a bug of the listener, which is logged
        _log.exception("listener-failed", extra={"fields": {"job": job.id, "cause": str(error)}})
