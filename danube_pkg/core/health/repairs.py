"""Which repairs are due, decided from what was found and from what was tried before.

A repair is tried at once, then after pauses that double, and not more than MAX_TRIES times for one condition: what has
not helped so often does not help, and restarting a program for ever hides its fault.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

from danube_pkg.kit.records import Record

FIRST_PAUSE_SECONDS = 300.0
"""Between two tries, at least: what was repaired gets the time to show that it works."""

LAST_PAUSE_SECONDS = 3600.0

MAX_TRIES = 6
"""Over two and a half hours. The condition stays, and says so."""


class Repair(StrEnum):
    """What the server can do about its own conditions."""

    MAKE_ROOM = "make-room"
    RESTART_DEX = "restart-dex"
    RETRY_SYNC = "retry-sync"
    RESUME_EFFECTS = "resume-effects"
    CLEAR_LOCKS = "clear-locks"
    CHECKPOINT_DATABASE = "checkpoint-database"


REPAIRS: Mapping[str, Repair] = {
    "disk-low": Repair.MAKE_ROOM,
    "disk-full": Repair.MAKE_ROOM,
    "disk-inodes": Repair.MAKE_ROOM,
    "dex-not-answering": Repair.RESTART_DEX,
    "configuration-missing": Repair.RETRY_SYNC,
    "configuration-stale": Repair.RETRY_SYNC,
    "effect-stuck": Repair.RESUME_EFFECTS,
    "lock-stale": Repair.CLEAR_LOCKS,
    "database-log-large": Repair.CHECKPOINT_DATABASE,
}
"""The repair for a condition, by its reference. The others need an operator, or repair themselves: a Dex or an egress
proxy that has ended is restarted by what runs it."""


class Tries(Record):
    """How often a repair was tried for the present condition, and when last (seconds of a monotonic clock)."""

    count: int
    last_at: float


class RepairPlan(Record):
    """due: what is tried now, in the order of Repair. given_up: what was tried often enough. tries: with those of
    now."""

    due: tuple[Repair, ...]
    given_up: tuple[Repair, ...]
    tries: Mapping[Repair, Tries]


NO_TRIES: Mapping[Repair, Tries] = {}


def plan_repairs(references: Collection[str], tries: Mapping[Repair, Tries], now: float) -> RepairPlan:
    """references: those of all conditions. now: seconds of a monotonic clock.

    A condition that is gone is forgotten but for its last try, so that one which comes and goes is not repaired more
    often than one which stays.
    """
    wanted = {REPAIRS[reference] for reference in references if reference in REPAIRS}
    due, given_up, after = [], [], dict(tries)
    for repair in Repair:
        before = tries.get(repair)
        if repair not in wanted:
            if before is not None:
                after[repair] = Tries(0, before.last_at)
            continue
        count = before.count if before is not None else 0
        if count >= MAX_TRIES:
            given_up.append(repair)
        elif before is None or now >= before.last_at + pause_seconds(count):
            due.append(repair)
            after[repair] = Tries(count + 1, now)
    return RepairPlan(tuple(due), tuple(given_up), after)


def pause_seconds(count: int) -> float:
    """The pause after so many tries."""
    return min(LAST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** max(0, count - 1))
