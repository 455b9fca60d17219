"""The fake in a thread of its own, for tests and measurements that are not asynchronous."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster

Result = TypeVar("Result")
_SECONDS = 60.0


class ClusterThread:
    """A cluster whose loop runs in another thread: use `call` for everything that changes it."""

    def __init__(self, cluster: FakeCluster, loop: asyncio.AbstractEventLoop) -> None:
        self.cluster = cluster
        self._loop = loop

    def call(self, act: Callable[[FakeCluster], Result]) -> Result:
        """The result of a function that is called in the cluster's loop."""

        async def acting() -> Result:
            return act(self.cluster)

        return asyncio.run_coroutine_threadsafe(acting(), self._loop).result(_SECONDS)


@contextmanager
def cluster_thread(directory: Path) -> Iterator[ClusterThread]:
    """A cluster as long as the context is open. Raises what the cluster's own tasks raised."""
    opened: Future[tuple[FakeCluster, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        closing = asyncio.Event()
        async with open_cluster(directory) as cluster:
            opened.set_result((cluster, asyncio.get_running_loop(), closing))
            await closing.wait()

    with ThreadPoolExecutor(1, thread_name_prefix="fake-cluster") as threads:
        ended = threads.submit(lambda: asyncio.run(serve()))
        both: list[Future[Any]] = [opened, ended]
        wait(both, _SECONDS, return_when=FIRST_COMPLETED)
        if ended.done():
            ended.result()
        cluster, loop, closing = opened.result(0)
        try:
            yield ClusterThread(cluster, loop)
        finally:
            loop.call_soon_threadsafe(closing.set)
            ended.result(_SECONDS)
