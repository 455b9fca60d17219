"""What the runtime tells of pods, and what it does not: ended containers, notices, pods without jobs, jobs without pods.

Each thing that is learnt is handed to a task of the job that it is about, so that one job whose state cannot be recorded
now keeps neither the watch nor the other jobs waiting.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from danube_pkg.core.errors import PlatformError, Retryable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.runtimes.pods import ContainerEnded, PodEvent, PodNotice, PodState
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.steps import LOST_GRACE_SECONDS

RECONCILE_SECONDS = 60.0
"""Pods without a job are removed, jobs without a pod are ended, at start and then every minute."""

WATCH_CAP_SECONDS = 30.0
"""At most so long until a watch that broke is opened again; it then tells first what was missed."""

HAS_A_POD = frozenset({Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING})
"""Before it nothing of the pod is there; after it the log is closed and nobody's news changes anything."""

_log = logging.getLogger("danube.pods")

StartTask = Callable[[ActiveJob, str, Callable[[], Coroutine[Any, Any, None]]], None]
"""Start a named task of a job, once."""


class PodReconciler:
    """The two loops over all pods. It owns no task and no state."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        live: Mapping[str, ActiveJob],
        start: StartTask,
        open_log: Callable[[ActiveJob], Awaitable[JobLog]],
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._live = live
        self._start = start
        self._open_log = open_log

    async def watch(self) -> None:
        """For ever; a watch that breaks is opened again."""
        backoff = Backoff(0.1, WATCH_CAP_SECONDS, random.random)
        while True:
            try:
                async with self._runtime.watch() as events:
                    async for event in events:
                        self.take(event)
                        backoff.reset()
                _log.warning("runtime-watch-ended", extra={"fields": {"runtime": self._runtime.name}})
            except Exception as error:  # noqa: BLE001 - whatever broke it, a server without a watch would hear of nothing
                _log.exception("runtime-watch-broken", extra={"fields": {"cause": str(error)}})
            await self._clock.sleep(backoff.next())

    def take(self, event: PodEvent) -> None:
        """Hand an event to its job, if that still has a pod."""
        live = self._live.get(event.job_id)
        if live is None or live.job.pod_id != event.pod_id or live.job.phase not in HAS_A_POD:
            return
        match event:
            case ContainerEnded(container, _, reason, message):
                lost = ev.ContainerLost(container.number, reason, message)
                live.note_ended(lost)
                self._start(live, f"container {container.number} ended", partial(live.apply_lost, lost))
            case PodNotice(_, _, message):
                self._start(live, f"notice {message}", partial(self._write_notice, live, message))

    async def _write_notice(self, live: ActiveJob, message: str) -> None:
        log = await self._open_log(live)
        if live.job.phase in HAS_A_POD:
            log.note(f"notice:{message}", 0, f"--- {message}")

    async def keep_reconciled(self) -> None:
        """For ever; what fails is tried again the next time."""
        while True:
            try:
                await self.reconcile()
            except Retryable as error:
                _log.warning("reconcile-retried", extra={"fields": {"cause": str(error)}})
            except Exception as error:  # noqa: BLE001 - a bug must not end the loop; the next minute tries again
                _log.exception("reconcile-failed", extra={"fields": {"cause": str(error)}})
            await self._clock.sleep(RECONCILE_SECONDS)

    async def reconcile(self) -> None:
        """Pods without a live job are removed; a live job whose pod is not there is told so. Raises what the runtime raises."""
        before = {job_id: live.job for job_id, live in self._live.items()}
        pods = {pod.pod_id: pod for pod in await self._runtime.list_pods()}
        for job_id, job in before.items():
            live = self._live.get(job_id)
            if live is None or job.phase is not Phase.RUNNING:
                continue
            pod = pods.get(job.pod_id)
            alive = {container.number for container in pod.containers} if pod is not None else set()
            placed = {step.container for step in job.open_steps if step.container is not None}
            for number in sorted(placed - alive):
                self._start(live, f"container {number} missing", partial(self._container_missing, live, number))
        kept = {job.pod_id for job in before.values()} | {live.job.pod_id for live in self._live.values()}
        for pod_id in sorted(pods.keys() - kept):
            await self._remove_orphan(pods[pod_id])

    async def _remove_orphan(self, pod: PodState) -> None:
        fields = {"pod": pod.pod_id, "job": pod.job_id}
        _log.warning("pod-without-job", extra={"fields": fields})
        try:
            await self._runtime.delete_pod(pod.pod_id)
        except PlatformError as error:
            _log.error("pod-not-removed", extra={"fields": {**fields, "cause": str(error), "hint": error.hint}})

    async def _container_missing(self, live: ActiveJob, number: int) -> None:
        """The watch knows the reason better; it gets a moment to say it."""

        def is_over(job: Job) -> bool:
            return job.phase is not Phase.RUNNING or all(step.container != number for step in job.open_steps)

        try:
            async with asyncio.timeout(LOST_GRACE_SECONDS):
                await live.wait_until(is_over)
        except TimeoutError:
            message = "its container is not there any more; something removed it behind Danube's back"
            await live.apply_lost(live.end_of_container(number, message))
