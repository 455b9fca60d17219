"""A queue of events with one consumer: each is handled alone, and each sender gets the result of its own."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from danube_pkg.core.errors import PlatformError, Unavailable
from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.events import JobEvent
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.records import HIDDEN, Mutable

MAILBOX_EVENTS = 1000
"""More events than one job can have open at once (steps, connections, timers); beyond it senders wait for room."""

STORE_SECONDS = 0.5
"""How long a state may be newer than the store: the next step of a job comes sooner, and lists show it soon enough."""

Handler = Callable[[JobEvent | None, Effect | None], Awaitable[Job]]


class _Message(Mutable):
    event: JobEvent | None
    done: Effect | None
    answer: Annotated[asyncio.Future[Job], HIDDEN]


class Mailbox:
    """Every message is answered, also one that was being handled, or arrived, when `run` ended.

    handle: decides and stores an event, and returns the job's new state. A sender that is cancelled does not cancel it.
    is_behind: whether it has decided something that is not stored; then it is called without an event after a moment in
    which none came.
    """

    def __init__(
        self, handle: Handler, is_behind: Callable[[], bool] = lambda: False, capacity: int = MAILBOX_EVENTS
    ) -> None:
        self._handle = handle
        self._is_behind = is_behind
        self._messages: asyncio.Queue[_Message] = asyncio.Queue(capacity)
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many messages wait behind the one that is being handled."""
        return self._messages.qsize()

    async def post(self, event: JobEvent | None, done: Effect | None) -> Job:
        """The result of handling the event. Raises what `handle` raises, and Unavailable when `run` has ended."""
        message = _Message(event, done, asyncio.get_running_loop().create_future())
        await self._messages.put(message)
        if self._ended:
            self._reject_rest()
        return await message.answer

    async def run(self) -> None:
        """Handle one message after the other until cancelled."""
        try:
            while True:
                await self._answer(await self._next())
        finally:
            self._ended = True
            self._reject_rest()

    async def _next(self) -> _Message:
        while self._is_behind():
            try:
                async with asyncio.timeout(STORE_SECONDS):
                    return await self._messages.get()
            except TimeoutError:
                with contextlib.suppress(PlatformError):  # it is tried again, and the next sender gets the error
                    await self._handle(None, None)
        return await self._messages.get()

    async def _answer(self, message: _Message) -> None:
        try:
            job = await self._handle(message.event, message.done)
        except Exception as error:  # noqa: BLE001 - each failure is the sender's, who retries or reports it
            if not message.answer.done():
                message.answer.set_exception(error)
        except BaseException:
            _reject(message)
            raise
        else:
            if not message.answer.done():
                message.answer.set_result(job)

    def _reject_rest(self) -> None:
        while not self._messages.empty():
            _reject(self._messages.get_nowait())


def _reject(message: _Message) -> None:
    """Whether its event was stored is not known; the job's state shows it."""
    if not message.answer.done():
        message.answer.set_exception(
            Unavailable("job-not-active", "the job is closed, or the server is stopping", hint="see: danube jobs")
        )
