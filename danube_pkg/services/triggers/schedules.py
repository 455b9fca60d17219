"""Clocks of pipelines: each schedule's moments become entries of the inbox, with the last one written down beside it.

A moment that passed while the server was away is acted on once, the newest one only: it is younger than its interval,
since the next has not come. A schedule that is new begins now; while the server is being drained clocks stand still.
"""

import asyncio
import logging
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from danube_pkg.core.configuration.pipelines import TriggerSpec
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.schedules.cron import (
    Schedule,
    jitter_of,
    latest_time,
    next_time,
)
from danube_pkg.core.triggers.inbox import ScheduleDue
from danube_pkg.core.triggers.ports import InboxStore
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.triggers.inbox import Inbox

LOOK_SECONDS = 30.0
"""At most, between two looks at the clock: it may be set meanwhile, and no wait notices that."""

_log = logging.getLogger("danube.schedules")

_Key = tuple[str, str]
"""A pipeline's name, and its schedule with its time zone."""


class Schedules:
    """Starts no job while the server is draining."""

    def __init__(
        self,
        triggers: Inbox,
        inbox: InboxStore,
        observer: JobObserver,
        clock: Clock,
        draining: Draining,
    ) -> None:
        self._triggers = triggers
        self._inbox = inbox
        self._observer = observer
        self._clock = clock
        self._draining = draining
        self._changed = asyncio.Event()
        observer.applied.listen(self._changed.set)
        self._due: dict[_Key, float] = {}
        self._conditions: tuple[Condition, ...] = ()

    async def conditions(self) -> Sequence[Condition]:
        """Schedules whose time zone is not known on this machine."""
        return self._conditions

    async def run(self) -> None:
        """For ever."""
        while True:
            self._changed.clear()
            try:
                seconds = await self.strike()
            except Exception as error:  # noqa: BLE001 - without the loop no clock would start anything any more
                _log.exception("schedules-not-looked-at", extra={"fields": {"cause": str(error)}})
                seconds = LOOK_SECONDS
            await until(self._clock.sleep(seconds), self._changed.wait(), name="schedules wake-up")

    async def strike(self) -> float:
        """Act on every moment that has come; the answer is how many seconds to wait before the next look."""
        now, wait, known, conditions = self._clock.now(), LOOK_SECONDS, set[_Key](), list[Condition]()
        for definition, trigger in self._observer.index.schedules:
            key = (definition.name, f"{trigger.schedule} {trigger.timezone}".strip())
            known.add(key)
            try:
                schedule = _schedule(trigger)
            except (ZoneInfoNotFoundError, ValueError):
                conditions.append(_zone_missing(definition.name, trigger.timezone))
                continue
            if self._due.get(key, 0.0) <= now and not self._draining.active:
                self._due[key] = await self._strike_one(key, schedule, trigger.schedule, now)
            wait = min(wait, max(0.0, self._due.get(key, now + wait) - now))
        self._due = {key: due for key, due in self._due.items() if key in known}
        self._conditions = tuple(conditions)
        return wait

    async def _strike_one(self, key: _Key, schedule: Schedule, expression: str, now: float) -> float:
        """When this schedule is to be looked at next."""
        pipeline, name = key
        jitter = jitter_of(schedule, pipeline)
        last = await self._inbox.last_due_time(pipeline, name)
        if last is None:
            last = now
            await self._inbox.set_last_due_time(pipeline, name, last)
        moment = latest_time(schedule, last, now - jitter)
        if moment is not None:
            new = await self._triggers.receive_due(ScheduleDue(pipeline, expression, moment), name)
            late = round(now - jitter - moment, 1)
            _log.info("schedule-struck", extra={"fields": {"pipeline": pipeline, "late_seconds": late, "new": new}})
            last = moment
        following = next_time(schedule, last)
        return following + jitter if following is not None else float("inf")


def next_start(pipeline: str, trigger: TriggerSpec, now: float) -> float | None:
    """When a schedule is acted on next, in Unix seconds; None where that is never, or its time zone is not known here."""
    try:
        schedule = _schedule(trigger)
    except (ZoneInfoNotFoundError, ValueError):
        return None
    jitter = jitter_of(schedule, pipeline)
    following = next_time(schedule, now - jitter)
    return following + jitter if following is not None else None


def _schedule(trigger: TriggerSpec) -> Schedule:
    return Schedule(trigger.schedule, ZoneInfo(trigger.timezone or "UTC"), trigger.jitter_seconds)


def _zone_missing(pipeline: str, zone: str) -> Condition:
    return Condition(
        "time-zone-missing",
        f"{pipeline} has a schedule in {zone}, a time zone that this machine does not know: it does not run",
        "install the time zones: apt-get install tzdata",
    )
