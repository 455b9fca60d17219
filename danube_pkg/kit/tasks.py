"""Tasks with a name and an owner.

A `TaskOwner` starts a changing set of tasks (one per job, one per follower), keeps references to them, passes each
failure to one function, and cancels the remaining tasks when it is closed.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")

OnFailure = Callable[[str, BaseException], None]


def logged(log: logging.Logger) -> OnFailure:
    """Reports a failed task as the event `task-failed` of that log."""

    def on_failure(name: str, error: BaseException) -> None:
        log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    return on_failure


class TaskOwner:
    """Owns the tasks that it starts. `on_failure(name, error)` is called for each task that raises."""

    def __init__(self, on_failure: OnFailure) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in the order in which they were started
        self._on_failure = on_failure
        self._closed = False

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        if self._closed:
            work.close()
            raise RuntimeError(f"the owner is closed; {name!r} cannot start")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(task.get_name(), error)

    async def finish(self) -> None:
        """Start no more tasks, and wait until all have ended by themselves."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Cancel the remaining tasks and wait until they have ended."""
        self._closed = True
        await end_all(*self._tasks)


async def end_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended. Their owner reports their failures."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def until(end: Coroutine[Any, Any, object], work: Coroutine[Any, Any, Answer], *, name: str) -> Answer | None:
    """The result of `work`, or None where `end` completed first. Both have ended when this returns or raises; an
    exception of either is raised."""
    tasks = working, ending = (
        asyncio.get_running_loop().create_task(work, name=name),
        asyncio.get_running_loop().create_task(end, name=f"end of {name}"),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_all(*(task for task in tasks if not task.done()))
    if not working.cancelled():
        return working.result()
    if not ending.cancelled():
        ending.result()
    return None
