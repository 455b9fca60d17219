"""Schedules of pipelines: each moment becomes an entry of the inbox, and is stored as the schedule's last one with it.

Of the moments that passed while no server ran only the newest starts a job. A new schedule begins now. While the server
is draining no schedule starts anything: each moment is noted as skipped, and is not made up for. A stored moment that
is in the future, since the clock went forward and came back, is set back to now.
"""

import asyncio
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from danube_pkg.core.configuration.pipelines import TriggerSpec
from danube_pkg.core.errors import Permanent, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.schedules.cron import (
    Schedule,
    jitter_of,
    latest_time,
    next_time,
)
from danube_pkg.core.triggers.inbox import ScheduleDue
from danube_pkg.core.triggers.ports import InboxStore
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.triggers.inbox import Inbox

CHECK_SECONDS = 30.0
"""Most seconds between two checks: the machine's clock may be set, and no wait notices that."""

SKIPPED = "the server was draining"

SHOW_SECONDS = 86400.0
"""How long a clock that went back is shown: operators may have to check what else believed it."""

_log = EventLog("danube.schedules")

_Key = tuple[str, str]
"""A pipeline's name, and its schedule with its time zone."""


class Schedules:
    """Checks all schedules of the applied configuration, and gives the inbox each moment that has come."""

    def __init__(
        self,
        triggers: Inbox,
        inbox: InboxStore,
        observer: JobObserver,
        timing: Timing,
        draining: Draining,
    ) -> None:
        self._triggers = triggers
        self._inbox = inbox
        self._observer = observer
        self._timing = timing
        self._clock = timing.clock
        self._draining = draining
        self._changed = asyncio.Event()
        observer.applied.listen(self._changed.set)
        self._due: dict[_Key, float] = {}
        self._checked_at = 0.0
        self._turned_back: tuple[float, float] | None = None
        """When the clock was last found to be behind an earlier time, and by how many seconds."""
        self._conditions: tuple[Condition, ...] = ()

    async def conditions(self) -> Sequence[Condition]:
        """Schedules whose time zone this machine does not know, and a clock that went back."""
        if self._turned_back is None or self._clock.now() - self._turned_back[0] > SHOW_SECONDS:
            return self._conditions
        return (*self._conditions, _clock_went_back(self._turned_back[1]))

    async def run(self) -> None:
        """Checks until it is cancelled: when the next moment comes, and when a configuration was applied."""
        streak = Streak("schedules-check", self._timing, Pauses(CHECK_SECONDS, CHECK_SECONDS), log=_log.logger)
        await for_ever(self.start_due, streak, self._timing, expected=(Permanent, Retryable), wake=self._changed)

    async def start_due(self) -> float:
        """Act on every moment that has come; the answer is how many seconds to wait before the next check."""
        now, wait, known, conditions = self._clock.now(), CHECK_SECONDS, set[_Key](), list[Condition]()
        if now < self._checked_at:
            self._due.clear()  # reckoned by a clock that was ahead
        self._checked_at = now
        for definition, trigger in self._observer.index.schedules:
            key = (definition.name, f"{trigger.schedule} {trigger.timezone}".strip())
            known.add(key)
            try:
                schedule = _schedule(trigger)
            except (ZoneInfoNotFoundError, ValueError):
                conditions.append(_zone_missing(definition.name, trigger.timezone))
                continue
            if self._due.get(key, 0.0) <= now:
                self._due[key] = await self._start_one(key, schedule, trigger.schedule, now)
            wait = min(wait, max(0.0, self._due.get(key, now + wait) - now))
        self._due = {key: due for key, due in self._due.items() if key in known}
        self._conditions = tuple(conditions)
        return wait

    async def _start_one(self, key: _Key, schedule: Schedule, expression: str, now: float) -> float:
        """The Unix seconds at which this schedule is due again; infinite for never."""
        pipeline, name = key
        jitter = jitter_of(schedule, pipeline)
        last = await self._inbox.last_due_time(pipeline, name)
        if last is not None and last > now:
            # The clock was ahead when it was stored. A time that starts a job again is known to the inbox.
            _log.warning("clock-went-back", pipeline=pipeline, seconds=round(last - now))
            self._turned_back, last = (now, last - now), None
        if last is None:
            last = now
            await self._inbox.set_last_due_time(pipeline, name, last)
        moment = latest_time(schedule, last, now - jitter)
        if moment is not None:
            skipped = SKIPPED if self._draining.active else ""
            new = await self._triggers.receive_due(ScheduleDue(pipeline, expression, moment, skipped), name)
            late = round(now - jitter - moment, 1)
            event = "schedule-skipped" if skipped else "schedule-struck"
            _log.info(event, pipeline=pipeline, late_seconds=late, new=new)
            last = moment
        following = next_time(schedule, last)
        return following + jitter if following is not None else float("inf")


def next_start(pipeline: str, trigger: TriggerSpec, now: float) -> float | None:
    """When a schedule is due next, in Unix seconds; None for never, or for a time zone that this machine lacks."""
    try:
        schedule = _schedule(trigger)
    except (ZoneInfoNotFoundError, ValueError):
        return None
    jitter = jitter_of(schedule, pipeline)
    following = next_time(schedule, now - jitter)
    return following + jitter if following is not None else None


def _schedule(trigger: TriggerSpec) -> Schedule:
    return Schedule(trigger.schedule, ZoneInfo(trigger.timezone or "UTC"), trigger.jitter_seconds)


def _clock_went_back(seconds: float) -> Condition:
    return Condition(
        "clock-went-back",
        f"this machine's clock was ahead by {round(seconds)} s or more and was set back; schedules continue from now",
        "check that a time service runs: timedatectl status",
    )


def _zone_missing(pipeline: str, zone: str) -> Condition:
    return Condition(
        "time-zone-missing",
        f"{pipeline} has a schedule in {zone}, a time zone that this machine does not know: it does not run",
        "install the time zones: apt-get install tzdata",
    )
