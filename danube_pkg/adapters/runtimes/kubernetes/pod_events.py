"""Turns statuses of pods into the events of the port, each end of a container once for each watch."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, end_of
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerEnded, PodEvent, PodNotice


class PodEvents:
    """One watch at a time is open, as the engine has it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[PodEvent] | None = None
        self._published: set[tuple[str, int]] = set()
        self._silent: set[str] = set()
        self._given: dict[tuple[str, int], tuple[Reason, str]] = {}

    @asynccontextmanager
    async def open(self, known: Iterable[PodStatus]) -> AsyncIterator[AsyncIterator[PodEvent]]:
        """Events from now on; what has ended in the known pods comes first."""
        queue: asyncio.Queue[PodEvent] = asyncio.Queue()
        self._queue = queue
        self._published.clear()
        for status in list(known):
            self.take(status)
        try:
            yield _events(queue)
        finally:
            self._queue = None

    def take(self, status: PodStatus) -> None:
        """Publish what has ended according to a new status."""
        if status.pod_id in self._silent:
            return
        for one in status.ended:
            key = (status.pod_id, one.container.number)
            reason, message = self._given.get(key) or end_of(status, one)
            self._publish_end(ContainerEnded(one.container, status.job_id, reason, message))

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

    def _publish_end(self, event: ContainerEnded) -> None:
        key = (event.pod_id, event.container.number)
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


async def _events(queue: "asyncio.Queue[PodEvent]") -> AsyncIterator[PodEvent]:
    while True:
        yield await queue.get()
