"""The server's upkeep: observe → plan (`core.health.repairs`) → repair → log, audit and show what was done.

A round is made every five minutes, and when a subsystem has become unusable.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.repairs import NO_TRIES, REPAIRS, Repair, RepairPlan, plan_repairs
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Streak, Timing, for_ever
from danube_pkg.kit.records import Record
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.health.conditions import ConditionSource

ROUND_SECONDS = 300.0

START_SECONDS = 60.0
"""A server that has just been started has read no configuration, and its Dex does not answer yet."""

REPAIR_SECONDS = 120.0
"""A repair that takes longer is given up for this time; cleaning up a large disk continues at the next one."""

SHOWN_REPAIRS = 20
"""Those of the last hours. The audit log has all."""

Worker = Callable[[], Awaitable[str]]
"""Makes a repair, and returns one sentence about what it did. Raises PlatformError, OSError."""

Recorder = Callable[["RepairDone"], Awaitable[None]]


class RepairDone(Record):
    """A repair that was tried. at: Unix seconds. why: the reference of the condition. outcome: `done` or `failed`.
    what: one sentence."""

    at: float
    repair: Repair
    why: str
    outcome: str
    what: str


_log = EventLog("danube.health")


class Upkeep:
    """sources: what is observed. workers: the repairs that this server can make; others are left to the operator.
    record: writes the audit log."""

    def __init__(
        self, sources: Sequence[ConditionSource], workers: Mapping[Repair, Worker], timing: Timing, record: Recorder
    ) -> None:
        self._sources = sources
        self._workers = workers
        self._timing = timing
        self._record = record
        self._wanted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._plan = RepairPlan((), (), NO_TRIES)
        self._done: deque[RepairDone] = deque(maxlen=SHOWN_REPAIRS)
        self.outcomes = Tally()
        """Repairs by `REPAIR OUTCOME`."""

    @property
    def done(self) -> Sequence[RepairDone]:
        """The last repairs, newest first."""
        return tuple(reversed(self._done))

    def wake(self) -> None:
        """Something has changed: make a round now."""
        self._wanted.set()

    async def conditions(self) -> Sequence[Condition]:
        """Repairs that were tried as often as they may be, and did not help."""
        return [
            Condition(
                "repair-given-up",
                f"the server has tried to repair it by itself several times without success: {repair}",
                "fix the condition that is listed beside it; danube audit --action repair shows what was tried",
            )
            for repair in self._plan.given_up
        ]

    async def follow(self) -> None:
        """A round every five minutes and at each `wake`, until cancelled."""
        streak = Streak("upkeep", self._timing, log=_log.logger)
        await for_ever(self.round, streak, self._timing, wake=self._wanted, pause_first=START_SECONDS)

    async def round(self) -> float:
        """One round at a time; the answer is the pause in seconds until the next."""
        async with self._lock:
            await self._round()
        return ROUND_SECONDS

    async def _round(self) -> None:
        found = [condition for source in self._sources for condition in await source.conditions()]
        able = [one.reference for one in found if self._is_able(one.reference)]
        self._plan = plan_repairs(able, self._plan.tries, self._timing.clock.monotonic())
        for repair in self._plan.due:
            await self._repair(repair, next(one for one in able if REPAIRS[one] is repair))

    def _is_able(self, reference: str) -> bool:
        return REPAIRS.get(reference) in self._workers

    async def _repair(self, repair: Repair, why: str) -> None:
        try:
            async with asyncio.timeout(REPAIR_SECONDS):
                outcome, what = "done", await self._workers[repair]()
        except TimeoutError:
            outcome, what = "failed", f"it took longer than {REPAIR_SECONDS:.0f} s"
        except (PlatformError, OSError) as error:
            outcome, what = "failed", str(error)
        done = RepairDone(self._timing.clock.now(), repair, why, outcome, what)
        self._done.append(done)
        self.outcomes.count(f"{repair} {outcome}")
        _log.warning("repaired", repair=str(repair), why=why, outcome=outcome, what=what)
        try:
            await self._record(done)
        except PlatformError as error:
            _log.warning("repair-not-audited", repair=str(repair), cause=str(error))
