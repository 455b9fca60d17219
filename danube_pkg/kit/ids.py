"""Identifiers that sort by time: ULIDs (https://github.com/ulid/spec) in lower case, 26 characters."""

import re
import threading
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TO_BASE_32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""To the digits of `int`, which reads an identifier thirty times as fast as a loop over its letters."""

_IDENTIFIER = re.compile(f"[{_ALPHABET}]{{26}}")
TIME_DIGITS = 10
"""The first ones are the milliseconds, the others are random."""


def sortable_id(now: float, randomness: bytes) -> str:
    """An identifier in Crockford's base 32. now: Unix seconds. randomness: ten random bytes."""
    return _text(_number(now, randomness))


def time_of(identifier: str) -> float:
    """The Unix seconds at which an identifier was created; 0.0 for a text that is not one."""
    if not _IDENTIFIER.fullmatch(identifier):
        return 0.0
    return int(identifier[:TIME_DIGITS].translate(_TO_BASE_32), 32) / 1000


class SortableIds:
    """Creates identifiers that sort in the order of creation ("Monotonicity" in the specification), also within one
    millisecond and after the clock was set back. The order decides which of two jobs is the newer one.

    now: gives Unix seconds. randomness: gives so many random bytes. May be called from any thread.
    """

    def __init__(self, now: Callable[[], float], randomness: Callable[[int], bytes]) -> None:
        self._now = now
        self._randomness = randomness
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self._last = max(_number(self._now(), self._randomness(10)), self._last + 1)
            return _text(self._last)

    def continue_after(self, known: str) -> None:
        """Let new identifiers sort after a known one, which another process may have created."""
        number = 0
        for letter in known:
            number = number << 5 | _ALPHABET.index(letter)
        with self._lock:
            self._last = max(self._last, number)


def _number(now: float, randomness: bytes) -> int:
    if len(randomness) != 10:
        raise ValueError(f"ten random bytes are needed, not {len(randomness)}")
    return (int(now * 1000) << 80) | int.from_bytes(randomness, "big")


def _text(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
