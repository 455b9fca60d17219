"""What one active job waits for outside of its pod, since when and why. Only in memory: after a restart of
the server a wait counts from its next failure."""

from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Mutable, field

SHOWN_SECONDS = 2.0
"""A shorter wait is over before a user has read of it."""

MAX_CAUSES = 10
"""Causes of one wait that are logged: a cause may contain what differs with each try."""


class _Wait(Mutable):
    """since: monotonic, in seconds. logged: the causes that have a line in the log."""

    since: float
    cause: str = ""
    logged: set[str] = field(default_factory=set)


class JobWaits:
    """By what is waited for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[str, _Wait] = {}

    def begin(self, what: str, seconds: float = 0.0) -> None:
        """A call has had no answer for so long; a wait that is known continues."""
        self._waits.setdefault(what, _Wait(self._clock.monotonic() - seconds))

    def failed(self, what: str, cause: str) -> float:
        """A call has failed. Returns for how many seconds the wait has lasted: 0.0 with the first failure."""
        self.begin(what)
        wait = self._waits[what]
        wait.cause = cause
        return self._clock.monotonic() - wait.since

    def is_new(self, what: str, cause: str) -> bool:
        """Whether the cause has no line in the log yet; it has one from now on."""
        logged = self._waits[what].logged
        if cause in logged or len(logged) >= MAX_CAUSES:
            return False
        logged.add(cause)
        return True

    def end(self, what: str) -> float:
        """The wait is over. Returns for how many seconds it has lasted; 0.0 where there was none."""
        wait = self._waits.pop(what, None)
        return self._clock.monotonic() - wait.since if wait is not None else 0.0

    def sentences(self) -> tuple[str, ...]:
        """What is waited for, as `danube explain` says it."""
        now = self._clock.monotonic()
        return tuple(
            f"It has been waiting for {what} for {now - wait.since:.0f} s: {wait.cause or 'there is no answer yet'}."
            for what, wait in self._waits.items()
            if now - wait.since >= SHOWN_SECONDS
        )
