"""How long to wait before the next try: exponential with jitter, bounded. Pure; the randomness is passed in."""

from collections.abc import Callable


class Backoff:
    """Delays that double from `first_seconds` up to `cap_seconds`, each spread over its upper half.

    `random` gives numbers in [0, 1). The spread keeps many clients of a restarted server from coming back at once.
    """

    def __init__(self, first_seconds: float, cap_seconds: float, random: Callable[[], float]) -> None:
        self._first = first_seconds
        self._cap = cap_seconds
        self._random = random
        self._next = first_seconds

    def next(self) -> float:
        """The delay before the next try, in seconds."""
        delay = self._next
        self._next = min(self._cap, self._next * 2)
        return delay * (0.5 + self._random() / 2)

    def reset(self) -> None:
        """A try went well: begin again with the first delay."""
        self._next = self._first
