"""Reconciles jobs with the runtime: watches pod events, removes orphaned pods, fails steps whose container is gone.

What concerns one job is done by a task of that job, so that a job whose state cannot be stored now delays neither the
watch nor other jobs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from danube_pkg.core.errors import Permanent, PlatformError, Retryable
from danube_pkg.core.jobs.events import ContainerLost
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.runtimes.pods import ContainerEnded, PodEvent, PodNotice, PodState
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.follower import LOST_GRACE_SECONDS
from danube_pkg.services.jobs.log_lines import write_notice

RECONCILE_SECONDS = 60.0
"""At start and then every minute."""

WATCH_PAUSES = Pauses(0.1, 30.0)
"""Until a watch that broke is opened again; it then reports first what was missed."""

HAS_A_POD = frozenset({Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING, Phase.SIGNING})
"""Before these phases the job has no pod; after them its log is closed and no event of its pod changes anything."""

_log = logging.getLogger("danube.pods")

StartTask = Callable[[ActiveJob, str, Callable[[], Coroutine[Any, Any, None]]], None]
"""Start a named task of a job, once."""


class WatchEnded(Exception):
    """The runtime ended the stream of its events; a watch should last as long as the server."""


class PodReconciler:
    """The two loops over all pods. active: the engine's jobs, a view that changes with them."""

    def __init__(
        self,
        runtime: Runtime,
        timing: Timing,
        active: Mapping[str, ActiveJob],
        start: StartTask,
        open_log: Callable[[ActiveJob], Awaitable[JobLog]],
    ) -> None:
        self._runtime = runtime
        self._timing = timing
        self._active = active
        self._start = start
        self._open_log = open_log

    async def watch(self) -> None:
        """Take pod events until cancelled; a watch that breaks is opened again."""
        fields = {"runtime": self._runtime.name}
        streak = Streak("runtime-watch", self._timing, WATCH_PAUSES, log=_log, fields=fields)
        watch = partial(self._watch_once, streak)
        await for_ever(watch, streak, self._timing, expected=(Retryable, WatchEnded))

    async def _watch_once(self, streak: Streak) -> float:
        async with self._runtime.watch() as events:
            async for event in events:
                streak.succeeded()
                self.take(event)
        raise WatchEnded("the runtime ended its stream of events")

    def take(self, event: PodEvent) -> None:
        """Start a task of the job that an event is about, if that job still has a pod."""
        active = self._active.get(event.job_id)
        if active is None or active.job.pod_id != event.pod_id or active.job.phase not in HAS_A_POD:
            return
        match event:
            case ContainerEnded(container, _, reason, message):
                lost = ContainerLost(container.number, reason, message)
                active.note_ended(lost)
                self._start(active, f"container {container.number} ended", partial(active.apply_lost, lost))
            case PodNotice(_, _, message):
                self._start(active, f"notice {message}", partial(self._write_notice, active, message))

    async def _write_notice(self, active: ActiveJob, message: str) -> None:
        log = await self._open_log(active)
        if active.job.phase in HAS_A_POD:
            write_notice(log, message)

    async def keep_reconciled(self) -> None:
        """Reconcile at once and then every RECONCILE_SECONDS, until cancelled."""
        streak = Streak("reconcile", self._timing, Pauses(1.0, RECONCILE_SECONDS), log=_log)

        async def reconcile() -> float:
            await self.reconcile()
            return RECONCILE_SECONDS

        await for_ever(reconcile, streak, self._timing, expected=(Permanent, Retryable))

    async def reconcile(self) -> None:
        """Remove pods without an active job; end steps whose container is gone. Raises what the runtime raises."""
        before = {job_id: active.job for job_id, active in self._active.items()}
        pods = {pod.pod_id: pod for pod in await self._runtime.list_pods()}
        for job_id, job in before.items():
            active = self._active.get(job_id)
            if active is None or job.phase is not Phase.RUNNING:
                continue
            pod = pods.get(job.pod_id)
            alive = {container.number for container in pod.containers} if pod is not None else set()
            placed = {step.container for step in job.open_steps if step.container is not None}
            for number in sorted(placed - alive):
                self._start(active, f"container {number} missing", partial(self._container_missing, active, number))
        wanted = {job.pod_id for job in before.values()} | {active.job.pod_id for active in self._active.values()}
        for pod_id in sorted(pods.keys() - wanted):
            await self._remove_orphan(pods[pod_id])

    async def _remove_orphan(self, pod: PodState) -> None:
        fields = {"pod": pod.pod_id, "job": pod.job_id}
        _log.warning("pod-without-job", extra={"fields": fields})
        try:
            await self._runtime.delete_pod(pod.pod_id)
        except PlatformError as error:
            _log.error("pod-not-removed", extra={"fields": {**fields, "cause": str(error), "hint": error.hint}})

    async def _container_missing(self, active: ActiveJob, number: int) -> None:
        """The watch may report a better reason; it gets some seconds for it."""

        def is_over(job: Job) -> bool:
            return job.phase is not Phase.RUNNING or all(step.container != number for step in job.open_steps)

        try:
            async with asyncio.timeout(LOST_GRACE_SECONDS):
                await active.wait_until(is_over)
        except TimeoutError:
            message = "its container does not exist any more; it was removed without Danube"
            await active.apply_lost(active.end_of_container(number, message))
