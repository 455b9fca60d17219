"""Turns statuses of pods into the events of the port, each end of a container once for each watch."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, end_of
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerEnded, PodEvent, PodNotice

CAUSE_SECONDS = 2.0
"""For the cause of a container's end to follow it. A kubelet that evicts a pod may report first that its containers
have ended, and then why. Shorter than the engine waits for a reason."""


class PodEvents:
    """One watch at a time is open, as the engine has it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[PodEvent] | None = None
        self._published: set[tuple[str, int]] = set()
        self._silent: set[str] = set()
        self._held: dict[tuple[str, int], asyncio.TimerHandle] = {}
        self._given: dict[tuple[str, int], tuple[Reason, str]] = {}

    @asynccontextmanager
    async def open(self, known: Iterable[PodStatus]) -> AsyncIterator[AsyncIterator[PodEvent]]:
        """Events from now on; what has ended in the known pods comes first."""
        queue: asyncio.Queue[PodEvent] = asyncio.Queue()
        self._queue = queue
        self._published.clear()
        for status in list(known):
            self.take(status, has_cause=True)
        try:
            yield _events(queue)
        finally:
            self._queue = None
            for key in list(self._held):
                self._release(key)

    def take(self, status: PodStatus, *, has_cause: bool = False) -> None:
        """Publish what has ended according to a new status. has_cause: no better cause is to be expected."""
        if status.pod_id in self._silent:
            return
        for one in status.ended:
            key = (status.pod_id, one.container.number)
            reason, message = self._given.get(key) or end_of(status, one)
            event = ContainerEnded(one.container, status.job_id, reason, message)
            if has_cause or key in self._given or status.cause is not None or reason is not Reason.POD_LOST:
                self._publish_end(event)
            elif self._queue is not None and key not in self._held and key not in self._published:
                self._held[key] = asyncio.get_running_loop().call_later(CAUSE_SECONDS, self._publish_held, event)

    def end(self, container: Container, job_id: str, reason: Reason, message: str) -> None:
        """Publish the end of a container that Danube itself ends, with the cause that it has for this."""
        key = (container.pod_id, container.number)
        if key not in self._given:
            self._given[key] = (reason, message)
            self._publish_end(ContainerEnded(container, job_id, reason, message))

    def notify(self, pod_id: str, job_id: str, message: str) -> None:
        """A line for the job's log; it is only for a watch that is open now."""
        if self._queue is not None:
            self._queue.put_nowait(PodNotice(pod_id, job_id, message))

    def _publish_held(self, event: ContainerEnded) -> None:
        if event.pod_id not in self._silent:
            self._publish_end(event)

    def _release(self, key: tuple[str, int]) -> None:
        if (held := self._held.pop(key, None)) is not None:
            held.cancel()

    def _publish_end(self, event: ContainerEnded) -> None:
        key = (event.pod_id, event.container.number)
        self._release(key)
        if self._queue is not None and key not in self._published:
            self._published.add(key)
            self._queue.put_nowait(event)

    def starting(self, pod_id: str) -> None:
        """The ends of that pod's containers are no events: until it has started, `create_pod` says what happens."""
        self._silent.add(pod_id)

    def started(self, status: PodStatus) -> None:
        """From now on they are."""
        self._silent.discard(status.pod_id)
        self.take(status)

    def removing(self, pod_id: str) -> None:
        """From now on they are none: Danube removes the pod."""
        self._silent.add(pod_id)

    def removed(self, pod_id: str) -> None:
        """The pod is gone; nothing of it is kept, and one with the same id may follow."""
        self._silent.discard(pod_id)
        self._given = {key: cause for key, cause in self._given.items() if key[0] != pod_id}
        self._published = {key for key in self._published if key[0] != pod_id}
        for key in [key for key in self._held if key[0] == pod_id]:
            self._release(key)


async def _events(queue: "asyncio.Queue[PodEvent]") -> AsyncIterator[PodEvent]:
    while True:
        yield await queue.get()
