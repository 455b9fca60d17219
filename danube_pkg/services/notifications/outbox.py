"""Delivers the outbox: each target in order, at least once, with backoff; independently of jobs.

A refusal that an operator can fix (a wrong token, a missing secret) is retried for a day with growing pauses, and is a
condition on the status page until a delivery to that receiver succeeds. A channel that is rate-limiting gets its pause.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from danube_pkg.core.errors import NotFound, Permanent, PlatformError, Retryable, Throttled, Unauthenticated
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.notifications.commit_statuses import worst_of
from danube_pkg.core.notifications.failures import DeliveryFailure, condition_of, receiver_of
from danube_pkg.core.notifications.outbox import (
    FIRST_RETRY_SECONDS,
    GIVE_UP_SECONDS,
    KEEP_SECONDS,
    LONGEST_PAUSE_SECONDS,
    RETRY_CAP_SECONDS,
    OutboxEntry,
    OutboxKind,
    longest_wait,
)
from danube_pkg.core.notifications.ports import OutboxStore
from danube_pkg.core.reasons import Status
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import TaskOwner, logged

SENDERS = 16
"""Most deliveries at the same time."""

PER_CHANNEL = 4
"""Most of them on one channel: forges limit the requests that they accept at once."""

DELIVERY_SECONDS = 60.0
"""Bound of one delivery: a name that does not resolve, a server that never answers."""

MAX_CONDITIONS = 50
"""Failing receivers that are shown; an outage of a forge concerns each repository on it."""

TIMED_OUT = "it did not answer in time"

READ_RETRIES = Pauses(first=0.2, cap=RETRY_CAP_SECONDS)

TIDY_SECONDS = 3600.0
TIDY_RETRIES = Pauses(first=60.0, cap=TIDY_SECONDS)

_log = EventLog("danube.outbox")

Send = Callable[[OutboxEntry], Awaitable[None]]
"""Raises NotFound where the receiver no longer exists, Permanent for what no retry would change, Unauthenticated for
what an operator can fix, Throttled, Unavailable."""


class Outbox:
    """senders: how each kind is delivered. added: is set whenever an entry was stored. channels: those that the
    configuration has now. is_silent: whether nothing may be delivered at present; when that changes, `added` is set."""

    def __init__(
        self,
        store: OutboxStore,
        timing: Timing,
        senders: Mapping[OutboxKind, Send],
        added: asyncio.Event,
        channels: Callable[[], Collection[str]],
        is_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._timing = timing
        self._clock = timing.clock
        self._senders = senders
        self._wake = added
        self._busy: dict[str, str] = {}
        self._paused: dict[str, float] = {}
        self._channels = channels
        self._is_silent = is_silent
        self._failing: dict[str, DeliveryFailure] = {}

    async def conditions(self) -> Sequence[Condition]:
        """The receivers, and the repositories with statuses, to which deliveries fail; none that the configuration no
        longer has."""
        current = self._channels()
        self._failing = {key: one for key, one in self._failing.items() if one.channel in current}
        return [condition_of(self._failing[key]) for key in sorted(self._failing)][:MAX_CONDITIONS]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers while the block is open; what was not delivered is left to the next server."""
        owner = TaskOwner(logged(_log.logger))
        tidy = Streak("outbox-tidy", self._timing, TIDY_RETRIES, log=_log.logger)
        try:
            owner.start("outbox", self._run(owner))
            owner.start("outbox-tidy", for_ever(self._forget_old, tidy, self._timing, expected=(PlatformError,)))
            yield
        finally:
            await owner.close()

    async def _run(self, owner: TaskOwner) -> None:
        """Starts deliveries when an entry was added, a delivery has ended, or the time of an entry has come."""
        streak = Streak("outbox-read", self._timing, READ_RETRIES, log=_log.logger)
        due, expected = partial(self._start_due, owner), (Permanent, Retryable)
        await for_ever(due, streak, self._timing, expected=expected, wake=self._wake)

    async def _start_due(self, owner: TaskOwner) -> float | None:
        """Start what can start; the answer is the seconds until the next entry is due, None for "until woken"."""
        if self._is_silent():
            return None
        now = self._clock.now()
        self._paused = {channel: at for channel, at in self._paused.items() if now < at <= now + LONGEST_PAUSE_SECONDS}
        channels = Counter(self._busy.values())
        full = [channel for channel, count in channels.items() if count >= PER_CHANNEL]
        for entry in await self._store.due_entries(now, 2 * SENDERS, [*full, *self._paused]):
            if len(self._busy) >= SENDERS:
                break
            if entry.target not in self._busy and channels[entry.channel] < PER_CHANNEL:
                self._busy[entry.target] = entry.channel
                channels[entry.channel] += 1
                owner.start(f"deliver {entry.id}", self._deliver(entry))
        # What is due and was not started waits for a delivery that ends, which wakes the loop, or for the end of a
        # pause.
        later = [at for at in (*self._paused.values(), await self._store.next_due(now)) if at is not None]
        return min(later) - now if later else None

    async def _deliver(self, entry: OutboxEntry) -> None:
        try:
            await self._deliver_one(entry)
        except Retryable as error:
            _log.error("delivery-not-recorded", target=entry.target, cause=str(error))
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
            known = await self._store.newest_of_each_ref(entry.target)
            entry = replace(entry, notification=worst_of(one.notification for one in known))
        elif entry.notification.status is Status.SUCCESS:
            entry = replace(entry, recovered=await self._is_recovery(entry))
        if entry.only_after_failure and not entry.recovered:
            await self._close(entry, "no recovery")
            return
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await self._senders[entry.kind](entry)
        except NotFound as error:
            await self._close(entry, f"no receiver: {error}")
        except Unauthenticated as error:
            await self._try_later(entry, error)
        except Permanent as error:
            self._note_failure(entry, error, None)
            _log.error("delivery-refused", **_fields(entry, str(error)))
            await self._close(entry, f"refused: {error}")
        except (Retryable, TimeoutError) as error:
            await self._try_later(entry, error)
        except Exception as error:  # noqa: BLE001 - a bug must not end the task unlogged; it is retried like a refusal
            _log.exception("delivery-failed", **_fields(entry, str(error)))
            await self._try_later(entry, error)
        else:
            self._failing.pop(receiver_of(entry), None)
            await self._close(entry, "delivered")
            _log.info("delivered", **_fields(entry, ""))

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
        cause = str(error) or TIMED_OUT
        if now - entry.created_at > GIVE_UP_SECONDS:
            self._note_failure(entry, error, None)
            _log.error("delivery-given-up", **_fields(entry, cause))
            await self._close(entry, f"given up: {cause}")
            return
        seconds = longest_wait(entry.attempts)
        wait = Backoff(seconds, seconds, self._timing.random).next()
        if isinstance(error, Throttled):
            wait = error.retry_seconds
            self._paused[entry.channel] = max(self._paused.get(entry.channel, 0.0), now + wait)
        self._note_failure(entry, error, now + wait)
        _log.warning("delivery-retried", **_fields(entry, cause))
        await self._store.postpone(entry, now + wait, cause)

    def _note_failure(self, entry: OutboxEntry, error: BaseException, next_at: float | None) -> None:
        """next_at: when it is tried again, in Unix seconds; None for never."""
        key, hint = receiver_of(entry), error.hint if isinstance(error, PlatformError) else ""
        known = self._failing.get(key)
        since = known.since if known is not None else self._clock.now()
        self._failing[key] = DeliveryFailure(entry, str(error) or TIMED_OUT, hint, since, next_at)

    async def _forget_old(self) -> float:
        await self._store.forget_delivered(self._clock.now() - KEEP_SECONDS)
        return TIDY_SECONDS


def _fields(entry: OutboxEntry, cause: str) -> dict[str, object]:
    return {"target": entry.target, "job": entry.notification.job_id, "attempt": entry.attempts + 1, "cause": cause}
