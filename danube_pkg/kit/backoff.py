"""Exponential backoff with jitter and a cap. Pure; the randomness is passed in."""

from collections.abc import Callable


class Backoff:
    """Delays that double from `first_seconds` to `cap_seconds`; each is random in its upper half.

    random: gives numbers in [0, 1). The jitter keeps many clients of a restarted server from returning at once.
    """

    def __init__(self, first_seconds: float, cap_seconds: float, random: Callable[[], float]) -> None:
        self._first = first_seconds
        self._cap = cap_seconds
        self._random = random
        self._next = first_seconds

    def next(self) -> float:
        """The delay before the next attempt, in seconds."""
        delay = self._next
        self._next = min(self._cap, self._next * 2)
        return delay * (0.5 + self._random() / 2)

    def reset(self) -> None:
        """Restart with the first delay, after a successful attempt."""
        self._next = self._first
