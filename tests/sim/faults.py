"""The faults of a run, drawn from its seed: delays, broken connections, full disks, and crashes of the server.

Every place where the server touches the outside is a *point*: before and after a commit, before and after a call of
the runtime, before the bytes of a log and between them and their index record. A server can crash at each of them,
and between any two turns of the event loop.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from danube_pkg.core.errors import PlatformError, StorageFull, Unavailable


class ProcessCrashed(BaseException):
    """The simulated process has crashed: nothing that it still tries has an effect."""


def is_from_crashed_process(error: BaseException | None) -> bool:
    """Whether the error only says that its process had crashed."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_from_crashed_process(one) for one in error.exceptions)
    return isinstance(error, ProcessCrashed)


@dataclass(frozen=True, slots=True)
class CrashPlan:
    """When servers crash: at the points with these numbers, counted over all servers of a run, and at these loop
    turns."""

    points: frozenset[int] = frozenset()
    turns: frozenset[int] = frozenset()
    turns_after_start: tuple[int, ...] = ()
    """The nth server also crashes so many turns after its start."""


@dataclass(slots=True)
class FaultPlan:
    """`fault_rate`, from 0 to 1: how often a call fails, a connection breaks or a call takes long. `full`: the
    intervals, in virtual seconds, in which there is no room for commits (`database`) or log bytes (`log`), or the
    database is locked (`locked`)."""

    rng: random.Random
    crashes: CrashPlan = field(default_factory=CrashPlan)
    fault_rate: float = 0.0
    full: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    failing_commits: frozenset[int] = frozenset()
    failing_calls: frozenset[int] = frozenset()
    """Commits, and calls of the runtime, with these numbers fail at any time."""
    points: int = 0
    commits: int = 0
    calls: int = 0

    def crashes_at(self, what: str) -> bool:
        """Count this point, and return whether the server crashes at it."""
        self.points += 1
        return self.points in self.crashes.points

    def delay(self, what: str) -> float:
        """Seconds that a call to the outside takes."""
        if not self.fault_rate or self.rng.random() < 0.6:
            return 0.0
        return self.rng.choice([0.0005, 0.003, 0.02, 0.02, self.fault_rate * 3.0])

    def failure(self, what: str) -> PlatformError | None:
        self.calls += 1
        if self.calls in self.failing_calls or self.rng.random() < self.fault_rate * 0.1:
            return Unavailable("unavailable-in-simulation", f"{what} fails this time")
        return None

    def tear_after(self) -> int | None:
        if self.rng.random() < self.fault_rate * 0.4:
            return self.rng.choice([self.rng.randrange(1, 400), self.rng.randrange(1, 4000)])
        return None

    def storage_failure(self, now: float) -> PlatformError | None:
        """Count this commit, and return the error with which it fails, or None."""
        self.commits += 1
        if self.is_full("database", now) or self.commits in self.failing_commits:
            return StorageFull("database-disk-full", "there is no room for the database")
        if self.is_full("locked", now):
            return Unavailable("database-locked", "the database is locked by another program")
        return None

    def is_full(self, what: str, now: float) -> bool:
        return any(begin <= now < end for begin, end in self.full.get(what, ()))
