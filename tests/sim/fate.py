"""What happens to a server from outside, drawn from the seed: delays, broken connections, full disks, and its death.

Every place where the server touches the world is a *point*: before and after a commit, before and after a call of the
runtime, before the bytes of a log and between them and their index record. A server can die at each of them, and between
any two turns of the event loop.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from danube_pkg.core.errors import PlatformError, StorageFull, Unavailable


class ProcessDied(BaseException):
    """The simulated process is dead: nothing that it still tries reaches the world."""


def is_of_the_dead(error: BaseException | None) -> bool:
    """It says nothing but that its process was dead."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_of_the_dead(one) for one in error.exceptions)
    return isinstance(error, ProcessDied)


@dataclass(frozen=True, slots=True)
class Deaths:
    """When servers die: at the points with these numbers (counted over all servers of a run), at these turns of the loop."""

    points: frozenset[int] = frozenset()
    turns: frozenset[int] = frozenset()
    turns_after_start: tuple[int, ...] = ()
    """And each of the first servers after so many turns since its start."""


@dataclass(slots=True)
class Fate:
    """`trouble` from 0 to 1: how often a call fails, a connection breaks, a call takes long. `full`: virtual seconds in
    which no commit (`database`) or no byte of a log (`log`) finds room, or the database is locked (`locked`)."""

    chance: random.Random
    deaths: Deaths = field(default_factory=Deaths)
    trouble: float = 0.0
    full: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    failing_commits: frozenset[int] = frozenset()
    failing_calls: frozenset[int] = frozenset()
    """Commits, and calls of the runtime, with these numbers fail, whatever the time is."""
    points: int = 0
    commits: int = 0
    calls: int = 0

    def kills_at(self, what: str) -> bool:
        """Count this point; whether the server dies at it."""
        self.points += 1
        return self.points in self.deaths.points

    def delay(self, what: str) -> float:
        """Seconds that a call of the outside takes."""
        if not self.trouble or self.chance.random() < 0.6:
            return 0.0
        return self.chance.choice([0.0005, 0.003, 0.02, 0.02, self.trouble * 3.0])

    def failure(self, what: str) -> PlatformError | None:
        self.calls += 1
        if self.calls in self.failing_calls or self.chance.random() < self.trouble * 0.1:
            return Unavailable("unavailable-in-simulation", f"{what} fails this time")
        return None

    def tear_after(self) -> int | None:
        if self.chance.random() < self.trouble * 0.4:
            return self.chance.choice([self.chance.randrange(1, 400), self.chance.randrange(1, 4000)])
        return None

    def storage_failure(self, now: float) -> PlatformError | None:
        """Why this commit does not happen, if it does not."""
        self.commits += 1
        if self.is_full("database", now) or self.commits in self.failing_commits:
            return StorageFull("database-disk-full", "there is no room for the database")
        if self.is_full("locked", now):
            return Unavailable("database-locked", "the database is locked by another program")
        return None

    def is_full(self, what: str, now: float) -> bool:
        return any(begin <= now < end for begin, end in self.full.get(what, ()))
