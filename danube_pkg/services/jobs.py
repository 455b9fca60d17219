"""The job engine: triggers, admission, and for each job that is not closed its mailbox, its effects and its followers.

    observe (RPC, runtime watch, timers) → decide (core.jobs) → record (one transaction) → act (effects) → feed back

There is no separate recovery path: `run` loads what is unfinished and derives from it what a running engine has anyway.
The queue is the table of jobs; who starts next is `core.queue.admissible`.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from danube_pkg.core import job_events as ev
from danube_pkg.core.access import unknown_pipeline
from danube_pkg.core.coordination import StepRequest
from danube_pkg.core.errors import Conflict, NotFound, Unavailable
from danube_pkg.core.jobs import COORDINATOR_SEQUENCE, Job, Phase, Trigger, unknown_job
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.pods import ContainerEnded, PodEvent, PodNotice
from danube_pkg.core.ports import (
    Clock,
    JobKeys,
    JobLog,
    JobLogs,
    JobStore,
    Listener,
    PipelineStore,
    Runtime,
    SecretValues,
    Source,
    Sources,
)
from danube_pkg.core.queue import admissible
from danube_pkg.core.reasons import Reason
from danube_pkg.core.steps import StepPhase
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.tasks import TaskOwner, end_all
from danube_pkg.services.draining import Draining
from danube_pkg.services.effects import EffectPerformer
from danube_pkg.services.live import LiveJob
from danube_pkg.services.sources import JobSource, source_lines
from danube_pkg.services.steps import GRACE_SECONDS, FollowerTools, StepFollower, container_of

RECONCILE_SECONDS = 60.0
"""Pods without a job are removed, jobs without a pod are ended, at start and then every minute."""

_log = logging.getLogger("danube.jobs")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """max_concurrent_jobs: asked at each admission, since the configuration may change it.
    coordinator_command: what the coordinator's container runs; no secret is in it."""

    max_concurrent_jobs: Callable[[], int]
    coordinator_command: str = "exec python3 -m danube_pkg.pod.coordinator"


@dataclass(frozen=True, slots=True)
class EnginePorts:
    """All that the engine reaches the world through."""

    jobs: JobStore
    pipelines: PipelineStore
    runtime: Runtime
    logs: JobLogs
    keys: JobKeys
    secrets: SecretValues
    sources: Sources
    clock: Clock
    new_id: Callable[[], str]


class Engine:
    """All jobs that are not closed. `async with engine.running():` owns every task of it. `draining`: set on a server."""

    def __init__(self, ports: EnginePorts, settings: EngineSettings) -> None:
        self._ports = ports
        self._settings = settings
        self._tools = FollowerTools(ports.runtime, ports.keys, ports.clock)
        self._performer = EffectPerformer(self._tools, self.open_log)
        self._live: dict[str, LiveJob] = {}
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._owner: TaskOwner | None = None
        self._admission = asyncio.Event()
        self._log_locks: dict[str, asyncio.Lock] = {}
        self._listeners: list[Listener] = []
        self.draining: Draining | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take up what is unfinished, serve until the block is left; pods go on without us."""
        owner = self._owner = TaskOwner(self._task_failed)
        try:
            async with self._ports.runtime.watch() as events:
                for job in await self._ports.jobs.unfinished_jobs():
                    self._take_up(job, LiveJob(job, await self._ports.jobs.owed_effects(job.id), *self._live_parts()))
                owner.start("runtime-watch", self._watch_runtime(events))
                owner.start("reconcile", self._reconcile_loop())
                owner.start("admission", self._admission_loop())
                yield
        finally:
            await owner.close()
            self._owner = None
            for live in self._live.values():
                await self.source(live).close()

    def _live_parts(self) -> tuple[JobStore, Clock, Callable[[LiveJob], None]]:
        return self._ports.jobs, self._ports.clock, self._derive

    def _task_failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    # --- what people and triggers ask for

    async def trigger(
        self,
        pipeline: str,
        *,
        ref: str = "",
        params: Mapping[str, str] | None = None,
        actor: str,
        type: str = "manual",
        job_id: str | None = None,
    ) -> Job:
        """A new job for the commit that `ref` names now. Raises NotFound, Permanent `source-unavailable`, Unavailable.

        `job_id`: reserved before by the caller, who may be repeating a call; a job that is there already is the answer.
        """
        if job_id is not None and (known_job := await self.find(job_id)) is not None:
            return known_job
        known = await self.triggerable(pipeline)
        resolved = await self._ports.sources.resolve(known.settings.repository, ref)
        trigger = Trigger(
            type=type,
            actor=actor,
            ref=resolved.ref,
            branch=resolved.branch,
            tag=resolved.tag,
            commit_sha=resolved.commit_sha,
            params=dict(params or {}),
        )
        return await self.submit(known, trigger, job_id=job_id)

    async def triggerable(self, name: str) -> Pipeline:
        """A pipeline of which there may be a new job now. Raises NotFound, Unavailable."""
        if self.draining is not None:
            self.draining.check()
        known = await self._ports.pipelines.load_pipeline(name)
        if known is None or known.removed:
            raise unknown_pipeline(name)
        return known

    async def find(self, job_id: str) -> Job | None:
        """A job as it is now, live or stored."""
        live = self._live.get(job_id)
        return live.job if live is not None else await self._ports.jobs.load_job(job_id)

    @property
    def max_concurrent_jobs(self) -> int:
        """As the configuration has it now."""
        return self._settings.max_concurrent_jobs()

    @property
    def open_jobs(self) -> Sequence[Job]:
        """Those that are not closed: waiting, running, or with a pod that is being removed."""
        return [live.job for live in self._live.values()]

    async def submit(
        self, pipeline: Pipeline, trigger: Trigger, *, job_id: str | None = None, reason: Reason = Reason.QUEUED
    ) -> Job:
        """Queue a job; once this returns it survives everything."""
        job = Job(
            id=job_id or self._ports.new_id(),
            reason=reason,
            pipeline_id=pipeline.id,
            pipeline=pipeline.name,
            trigger=trigger,
            settings=pipeline.settings,
            created_at=self._ports.clock.now(),
        )
        await self._ports.jobs.create_job(job)
        self._take_up(job, LiveJob(job, (), *self._live_parts()))
        _log.info("job-queued", extra={"fields": {"job": job.id, "pipeline": job.pipeline, "actor": trigger.actor}})
        return job

    async def cancel(self, job_id: str, by: str) -> Job:
        """End a job that has not ended. Raises NotFound, Conflict."""
        live = self._live.get(job_id)
        if live is None or live.job.status.ended:
            job = live.job if live else await self._ports.jobs.load_job(job_id)
            if job is None:
                raise unknown_job(job_id)
            raise Conflict("job-ended", f"{job.label} has ended already: {job.status}")
        return await live.apply(ev.CancelAsked(by))

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

    def live(self, job_id: str) -> LiveJob:
        """The live job; raises NotFound for one that is closed or was never there."""
        live = self._live.get(job_id)
        if live is None:
            raise NotFound("job-not-active", f"job {job_id} is not active")
        return live

    def listen(self, listener: Listener) -> None:
        """Call it with each new state of each job, in the job's own task: it must be quick and must not raise."""
        self._listeners.append(listener)

    def reconsider_queue(self) -> None:
        """Limits may have changed: look at the queue again."""
        self._admission.set()

    # --- what is derived from a job's state

    def _take_up(self, job: Job, live: LiveJob) -> None:
        if self._owner is None:
            raise Unavailable("server-stopping", "the server is stopping")
        self._live[job.id] = live
        self._tasks[job.id] = {}
        self._ensure(live, "mailbox", live.run_mailbox)
        self._ensure(live, "effects", partial(self._performer.run, live))
        self._derive(live)
        self._admission.set()

    def _ensure(self, live: LiveJob, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Each named task of a job is started once, however often the state that calls for it is seen."""
        tasks = self._tasks[live.job.id]
        if self._owner is not None and name not in tasks:
            tasks[name] = self._owner.start(f"{name} {live.job.id}", work())

    def _derive(self, live: LiveJob) -> None:
        """After each commit: followers of placed steps, the deadline, the end of a closed job."""
        job = live.job
        for listener in self._listeners:
            listener(job)
        if job.phase is Phase.CLOSED:
            self._admission.set()
            self._ensure(live, "close", partial(self._close, live))
            return
        if job.phase is Phase.PREPARING:
            self._ensure(live, "source", self.source(live).prepare)
        if job.deadline_at is not None and job.phase in (Phase.PREPARING, Phase.RUNNING):
            self._ensure(live, "deadline", partial(self._deadline, live))
        for step in job.steps:
            name = f"step {step.sequence}.{step.attempt}"
            if step.phase in (StepPhase.PLACED, StepPhase.STARTED):
                self._ensure(live, name, partial(self._follow, live, step.sequence))

    async def _close(self, live: LiveJob) -> None:
        """Forget a closed job; its own tasks are ended last, since one of them got us here."""
        job = live.job
        tasks = self._tasks.pop(job.id)
        self._live.pop(job.id, None)
        self._log_locks.pop(job.id, None)
        live.notify()
        await end_all(*filter(None, (tasks.get("source"),)))  # it may be in the middle of a long fetch
        await self.source(live).close()
        _log.info("job-closed", extra={"fields": {"job": job.id, "status": str(job.status), "reason": str(job.reason)}})
        await end_all(*(task for task in tasks.values() if task is not asyncio.current_task()))

    async def _deadline(self, live: LiveJob) -> None:
        deadline_at = live.job.deadline_at or 0.0
        await self._ports.clock.sleep(max(0.0, deadline_at - self._ports.clock.now()))
        await live.apply(ev.DeadlinePassed())

    async def _follow(self, live: LiveJob, sequence: int) -> None:
        """The step's follower, ended early when the step ends by another event."""
        step = live.step(sequence)
        log = await self.open_log(live)
        if sequence == COORDINATOR_SEQUENCE:
            live.memory(sequence).request = self._coordinator_request(live.job)
        follower = StepFollower(live, log, step, container_of(live.job.id, step), self._tools)

        def is_over(job: Job) -> bool:
            now = live.step(sequence)
            return now.attempt != step.attempt or now.phase is StepPhase.ENDED

        async with asyncio.TaskGroup() as group:
            work = group.create_task(follower.run(), name=f"follow {step.id}")
            over = group.create_task(live.wait_until(is_over), name=f"end of {step.id}")
            await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
            await end_all(*(task for task in (work, over) if not task.done()))
        follower.conclude()

    def _coordinator_request(self, job: Job) -> StepRequest:
        """The coordinator's program is a step like any other, with a bound of its own that needs no server."""
        left = int((job.deadline_at or 0.0) - self._ports.clock.now()) + int(2 * GRACE_SECONDS)
        return StepRequest(
            sequence=COORDINATOR_SEQUENCE,
            name=job.settings.script,
            command=self._settings.coordinator_command,
            image="",
            environment={},
            working_directory="/workspace",
            timeout_seconds=max(1, left),
            retries=0,
            check=True,
        )

    def source(self, live: LiveJob) -> JobSource:
        """The job's source tree."""
        if live.source is None:
            live.source = JobSource(self._ports.sources, live.job, partial(self._source_opened, live))
        return live.source

    async def _source_opened(self, live: LiveJob, source: Source) -> None:
        await live.apply(ev.SourceOpened(source.rule))
        for key, line in source_lines(live.job, source):
            (await self.open_log(live)).note(key, 0, line)

    async def open_log(self, live: LiveJob) -> JobLog:
        """The job's log, masking everything that the job could read, and its own token."""
        async with self._log_locks.setdefault(live.job.id, asyncio.Lock()):
            if live.log is None:
                live.log = self._ports.logs.open(
                    live.job.id,
                    secrets=await self.values_to_mask(live.job),
                    limit_bytes=live.job.settings.log_limit_mb * 1024**2,
                )
            return live.log

    async def values_to_mask(self, job: Job) -> list[bytes]:
        values = await self._ports.secrets.values_to_mask(job.pipeline)
        return [*values, self._ports.keys.job_token(job.id).encode()]

    # --- loops

    async def _admission_loop(self) -> None:
        while True:
            await self._admission.wait()
            self._admission.clear()
            if self.draining is not None and self.draining.active:
                continue
            jobs = [live.job for live in self._live.values()]
            for job_id in admissible(jobs, self._settings.max_concurrent_jobs()):
                await self._admit(self._live[job_id])

    async def _admit(self, live: LiveJob) -> None:
        if live.job.phase is not Phase.QUEUED:
            return
        backoff = Backoff(0.1, 5.0, random.random)
        while live.job.phase is Phase.QUEUED:
            try:
                await live.apply(ev.Admitted())
            except Unavailable as error:
                _log.warning("admission-retried", extra={"fields": {"job": live.job.id, "cause": str(error)}})
                await self._ports.clock.sleep(backoff.next())

    async def _watch_runtime(self, events: AsyncIterator[PodEvent]) -> None:
        async for event in events:
            match event:
                case ContainerEnded(container, reason, message):
                    if (live := self._live.get(container.job_id)) is not None and live.job.phase is not Phase.QUEUED:
                        await live.apply(ev.ContainerLost(container.number, reason, message))
                case PodNotice(job_id, message):
                    if (live := self._live.get(job_id)) is not None:
                        log = await self.open_log(live)
                        log.note(f"notice:{message}", 0, f"--- {message}")

    async def _reconcile_loop(self) -> None:
        while True:
            await self.reconcile()
            await self._ports.clock.sleep(RECONCILE_SECONDS)

    async def reconcile(self) -> None:
        """Pods without a live job are removed; a live job whose pod is not there is told so."""
        before = {job_id: live.job for job_id, live in self._live.items()}
        pods = {pod.job_id: pod for pod in await self._ports.runtime.list_pods()}
        for job_id in pods.keys() - self._live.keys() - before.keys():
            _log.warning("pod-without-job", extra={"fields": {"job": job_id}})
            await self._ports.runtime.delete_pod(job_id)
        for job_id, job in before.items():
            live = self._live.get(job_id)
            if job.phase is not Phase.RUNNING or live is None:
                continue
            alive = {container.number for container in pods[job_id].containers} if job_id in pods else set()
            for number in {step.container for step in job.open_steps if step.container is not None} - alive:
                message = "its container is not there any more; something removed it behind Danube's back"
                await live.apply(ev.ContainerLost(number, Reason.POD_LOST, message))


async def _only(job: Job) -> AsyncIterator[Job]:
    yield job
