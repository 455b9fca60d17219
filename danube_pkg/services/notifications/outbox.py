"""Delivering what is owed to the world: each target in order, at least once, with backoff; never in the way of a job.

A refusal that people can mend (a wrong token, a missing secret) is a condition on the status page until a delivery on that
channel succeeds; meanwhile it is tried again, ever more rarely, for a day. A channel that asks for a pause gets it.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from danube_pkg.core.errors import NotFound, Permanent, PlatformError, Retryable, Throttled, Unauthenticated
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.notifications.outbox import (
    FIRST_RETRY_SECONDS,
    GIVE_UP_SECONDS,
    KEEP_SECONDS,
    RETRY_CAP_SECONDS,
    OutboxEntry,
    OutboxKind,
    longest_wait,
)
from danube_pkg.core.notifications.ports import OutboxStore
from danube_pkg.core.reasons import Status
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.tasks import TaskOwner, logged, until

SENDERS = 16
"""Deliveries at the same time, and of one channel a quarter of it: forges dislike more."""

PER_CHANNEL = 4

DELIVERY_SECONDS = 60.0
"""For one delivery, whatever happens: a name that does not resolve, a server that never answers."""

TIDY_SECONDS = 3600.0

_log = logging.getLogger("danube.outbox")

Send = Callable[[OutboxEntry], Awaitable[None]]
"""Raises NotFound where nobody is there to be told any more, Permanent for what no other try would change, Unauthenticated
for what people can mend, Throttled, Unavailable."""


class Outbox:
    """senders: how each kind is delivered. added: set by whoever adds an entry."""

    def __init__(
        self, store: OutboxStore, clock: Clock, senders: Mapping[OutboxKind, Send], added: asyncio.Event
    ) -> None:
        self._store = store
        self._clock = clock
        self._senders = senders
        self._wake = added
        self._busy: dict[str, str] = {}
        self._paused: dict[str, float] = {}
        self._trouble: dict[str, Condition] = {}

    async def conditions(self) -> Sequence[Condition]:
        """What keeps deliveries from arriving, by channel."""
        return [self._trouble[channel] for channel in sorted(self._trouble)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Owns every task; what was not delivered is the next server's."""
        owner = TaskOwner(logged(_log))
        try:
            owner.start("outbox", self._run(owner))
            owner.start("outbox-tidy", self._tidy())
            yield
        finally:
            await owner.close()

    async def _run(self, owner: TaskOwner) -> None:
        backoff = Backoff(0.2, RETRY_CAP_SECONDS, random.random)
        while True:
            self._wake.clear()
            try:
                wait = await self._start_due(owner)
                backoff.reset()
            except Exception as error:  # noqa: BLE001 - without the loop nobody would be told of anything any more
                _log.exception("outbox-unreadable", extra={"fields": {"cause": str(error)}})
                wait = backoff.next()
            await self._wait(wait)

    async def _wait(self, seconds: float | None) -> None:
        """Until something was added or delivered, or the time has come."""
        if seconds is None:
            await self._wake.wait()
        else:
            await until(self._clock.sleep(seconds), self._wake.wait(), name="outbox wake-up")

    async def _start_due(self, owner: TaskOwner) -> float | None:
        """Begin what can begin; the answer is how long to wait for the next, None where only an event can bring it."""
        now = self._clock.now()
        self._paused = {channel: at for channel, at in self._paused.items() if at > now}
        channels = Counter(self._busy.values())
        full = [channel for channel, count in channels.items() if count >= PER_CHANNEL]
        for entry in await self._store.due_entries(now, 2 * SENDERS, [*full, *self._paused]):
            if len(self._busy) >= SENDERS:
                break
            if entry.target not in self._busy and channels[entry.channel] < PER_CHANNEL:
                self._busy[entry.target] = entry.channel
                channels[entry.channel] += 1
                owner.start(f"deliver {entry.id}", self._deliver(entry))
        # What is due and did not begin waits for a delivery that ends, which wakes the loop, or for the end of a pause.
        later = [at for at in (*self._paused.values(), await self._store.next_due(now)) if at is not None]
        return min(later) - now if later else None

    async def _deliver(self, entry: OutboxEntry) -> None:
        try:
            await self._deliver_one(entry)
        except Retryable as error:
            _log.error("delivery-not-recorded", extra={"fields": {"target": entry.target, "cause": str(error)}})
            await self._clock.sleep(FIRST_RETRY_SECONDS)
        finally:
            del self._busy[entry.target]
            self._wake.set()

    async def _deliver_one(self, entry: OutboxEntry) -> None:
        if entry.kind is OutboxKind.STATUS:
            newest = await self._store.newest_entry(entry.target)
            if newest is not None and newest.id != entry.id:
                await self._close(entry, "superseded")
                return
        if entry.only_after_failure and not await self._is_recovery(entry):
            await self._close(entry, "no recovery")
            return
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await self._senders[entry.kind](entry)
        except NotFound as error:
            await self._close(entry, f"nobody to tell: {error}")
        except Unauthenticated as error:
            await self._try_later(entry, error)
        except Permanent as error:
            self._trouble[entry.channel] = _condition(entry, error)
            _log.error("delivery-refused", extra={"fields": _fields(entry, str(error))})
            await self._close(entry, f"refused: {error}")
        except (Retryable, TimeoutError) as error:
            await self._try_later(entry, error)
        except Exception as error:  # noqa: BLE001 - a bug must not stop the loop; it is logged, and tried again like a refusal
            _log.exception("delivery-failed", extra={"fields": _fields(entry, str(error))})
            await self._try_later(entry, error)
        else:
            self._trouble.pop(entry.channel, None)
            await self._close(entry, "delivered")
            _log.info("delivered", extra={"fields": _fields(entry, "")})

    async def _close(self, entry: OutboxEntry, outcome: str) -> None:
        await self._store.close_entry(entry, outcome, self._clock.now())

    async def _is_recovery(self, entry: OutboxEntry) -> bool:
        notification = entry.notification
        return await self._store.end_before(notification.pipeline, notification.ref, notification.job_id) in (
            Status.FAILURE,
            Status.TIMEOUT,
        )

    async def _try_later(self, entry: OutboxEntry, error: BaseException) -> None:
        now = self._clock.now()
        cause = str(error) or "it did not answer in time"
        self._trouble[entry.channel] = _condition(entry, error)
        if now - entry.created_at > GIVE_UP_SECONDS:
            _log.error("delivery-given-up", extra={"fields": _fields(entry, cause)})
            await self._close(entry, f"given up: {cause}")
            return
        seconds = longest_wait(entry.attempts)
        wait = Backoff(seconds, seconds, random.random).next()
        if isinstance(error, Throttled):
            wait = error.retry_seconds
            self._paused[entry.channel] = max(self._paused.get(entry.channel, 0.0), now + wait)
        _log.warning("delivery-retried", extra={"fields": _fields(entry, cause)})
        await self._store.postpone(entry, now + wait, cause)

    async def _tidy(self) -> None:
        while True:
            try:
                await self._store.forget_delivered(self._clock.now() - KEEP_SECONDS)
            except PlatformError as error:
                _log.warning("outbox-not-tidied", extra={"fields": {"cause": str(error)}})
            await self._clock.sleep(TIDY_SECONDS)


def _condition(entry: OutboxEntry, error: BaseException) -> Condition:
    hint = error.hint if isinstance(error, PlatformError) else ""
    what = str(error) or "it did not answer in time"
    return Condition("delivery-failing", f"{entry.channel} takes nothing from this server: {what}", hint)


def _fields(entry: OutboxEntry, cause: str) -> dict[str, object]:
    return {"target": entry.target, "job": entry.notification.job_id, "attempt": entry.attempts + 1, "cause": cause}
