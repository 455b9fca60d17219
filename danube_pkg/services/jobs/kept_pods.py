"""Keeps the pods of failed jobs until their time is over or their room is needed.

It holds no state: which pods are kept, and until when, is stored with the jobs. A restarted server continues, so a pod
is removed in time whatever happens to the server, and one that was lost meanwhile is not offered any more.
"""

import logging
from collections.abc import Callable, Mapping

from danube_pkg.core.jobs.events import PodReleased
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.kept_pods import KeptPodBounds, exceeding
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob

CHECK_SECONDS = 5.0
"""Between two checks of the bounds. A job that waits for the room on a disk waits for so long."""

_log = logging.getLogger("danube.pods")


class KeptPods:
    """active: the engine's jobs, a view that changes with them. bounds: those of the applied configuration.
    is_room_short: whether the machine lacks disk or memory. is_draining: a server that is drained keeps nothing."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        active: Mapping[str, ActiveJob],
        bounds: Callable[[], KeptPodBounds],
        is_room_short: Callable[[], bool],
        is_draining: Callable[[], bool],
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._active = active
        self._bounds = bounds
        self._is_room_short = is_room_short
        self._is_draining = is_draining

    async def keep(self, active: ActiveJob) -> None:
        """The task of a job whose pod is kept. Returns when it is kept no longer. Raises what the runtime raises."""
        ends_at = self._clock.monotonic() + self._seconds_left(active.job)
        while active.job.keeps_pod:
            left = ends_at - self._clock.monotonic()  # a clock that was set back keeps no pod for longer
            if why := "its time is over" if left <= 0 else await self._why_now(active.job):
                _log.info("kept-pod-released", extra={"fields": {"job": active.job.id, "cause": why}})
                await active.apply(PodReleased())
                return
            released = active.wait_until(lambda job: not job.keeps_pod)
            await until(released, self._clock.sleep(min(left, CHECK_SECONDS)), name=f"kept pod {active.job.id}")

    def _seconds_left(self, job: Job) -> float:
        left = (job.kept_until or 0.0) - self._clock.now()
        return min(left, job.settings.keep_failed_seconds)

    async def _why_now(self, job: Job) -> str:
        """Why it is removed before its time is over; "" where it stays."""
        if self._is_draining():
            return "the server is being drained"
        jobs = [one.job for one in self._active.values()]
        is_room_short = self._is_room_short()
        if job.id in exceeding(jobs, self._bounds(), is_room_short=is_room_short):
            return "the machine lacks room" if is_room_short else "more pods are kept than max_kept_pods allows"
        if not any(pod.pod_id == job.pod_id and pod.containers for pod in await self._runtime.list_pods()):
            return "it has ended"
        return ""
