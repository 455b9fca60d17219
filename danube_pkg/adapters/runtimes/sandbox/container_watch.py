"""Reports containers that have ended: by a pidfd of each PID 1, without polling and without child processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from danube_pkg.adapters.runtimes.sandbox.pod_files import ContainerRecord, ProcessMark
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerEnded, PodEvent

ReasonOfEnd = Callable[[Container], tuple[Reason, str]]


class ContainerWatch:
    """Publishes the end of every container that was added, once for each time that it is opened."""

    def __init__(self, reason_of_end: ReasonOfEnd) -> None:
        self._reason_of_end = reason_of_end
        self._descriptors: dict[Container, int] = {}
        self._queue: asyncio.Queue[PodEvent] | None = None
        self._published: set[Container] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[PodEvent]]:
        """Events from now on. Containers that have ended are published when they are added, also if an earlier watch
        published them."""
        queue: asyncio.Queue[PodEvent] = asyncio.Queue()
        self._queue = queue
        self._published.clear()
        try:
            yield _events(queue)
        finally:
            self._queue = None

    def publish(self, event: PodEvent) -> None:
        if self._queue is None:
            return  # the next watch finds a container that has ended; a notice is only for those who watch now
        if isinstance(event, ContainerEnded):
            if event.container in self._published:
                return
            self._published.add(event.container)
        self._queue.put_nowait(event)

    def add(self, known: ContainerRecord) -> None:
        """Watch a container; one that has ended already is published at once."""
        if known.container in self._descriptors or known.container in self._published:
            return
        try:
            descriptor = os.pidfd_open(known.init.pid)
        except ProcessLookupError:
            descriptor = -1
        if descriptor < 0 or not known.init.lives():
            if descriptor >= 0:
                os.close(descriptor)
            self._publish_end(known)
            return
        self._descriptors[known.container] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, known)

    def _ended(self, known: ContainerRecord) -> None:
        self._drop(known.container)
        self._publish_end(known)

    def _publish_end(self, known: ContainerRecord) -> None:
        self.publish(ContainerEnded(known.container, known.job_id, *self._reason_of_end(known.container)))

    def _drop(self, container: Container) -> None:
        descriptor = self._descriptors.pop(container, -1)
        if descriptor >= 0:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def forget(self, pod_id: str) -> None:
        """Stop watching a pod that is being removed: the end of its containers is not an event."""
        for container in [known for known in self._descriptors if known.pod_id == pod_id]:
            self._drop(container)
        self._published = {known for known in self._published if known.pod_id != pod_id}

    async def wait_ended(self, mark: ProcessMark) -> None:
        """Returns when that process has ended, at once if it had."""
        try:
            descriptor = os.pidfd_open(mark.pid)
        except ProcessLookupError:
            return
        try:
            if mark.lives():
                loop = asyncio.get_running_loop()
                ended: asyncio.Future[None] = loop.create_future()
                loop.add_reader(descriptor, _resolve, ended)
                try:
                    await ended
                finally:
                    loop.remove_reader(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        for container in list(self._descriptors):
            self._drop(container)


async def _events(queue: "asyncio.Queue[PodEvent]") -> AsyncIterator[PodEvent]:
    while True:
        yield await queue.get()


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
