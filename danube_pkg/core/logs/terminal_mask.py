"""Masks what a program prints for a user who waits for it at a terminal.

In a log bytes may be held back until it is certain that no secret begins with them. A terminal would seem to hang: each
character that a user types is printed at once, and many are the first one of some secret. So what is held back is
emitted after a pause, while it is shorter than HELD_CHARACTERS; the rest of a value whose beginning was emitted is
masked all the same.
"""

from danube_pkg.core.logs.redaction import BEFORE_BYTES, Patterns

HELD_CHARACTERS = 4
"""A beginning of a value that is shorter betrays nothing of it; three characters come late by a pause."""


class TerminalMask:
    """One stream of output. patterns: what it masks; e-mail addresses are no secrets, and are not masked."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = Patterns(sets=patterns.sets)
        self._held = b""
        self._before = b""

    @property
    def is_holding(self) -> bool:
        """Whether bytes are held back that `after_pause` would emit."""
        return 0 < len(self._held) < HELD_CHARACTERS

    def feed(self, data: bytes) -> bytes:
        """What may be shown now. Blocks for as long as masking takes: for a tenth of a second with hostile output."""
        return self._masked(data, final=False)

    def after_pause(self) -> bytes:
        """What may be shown when nothing has followed for a moment."""
        return self._emit(len(self._held), self._held) if self.is_holding else b""

    def end(self) -> bytes:
        """The rest."""
        return self._masked(b"", final=True)

    def _masked(self, data: bytes, *, final: bool) -> bytes:
        self._held += data
        text, taken = self._patterns.mask(self._held, final=final, before=self._before)
        return self._emit(taken, text)

    def _emit(self, taken: int, text: bytes) -> bytes:
        self._before = (self._before + self._held[:taken])[-BEFORE_BYTES:]
        self._held = self._held[taken:]
        return text
