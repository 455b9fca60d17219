"""Notices that the clock was set, also between two servers: the last reading of both clocks is stored."""

from collections.abc import Callable

from danube_pkg.core.jobs.clock_jumps import jump_between
from danube_pkg.core.jobs.ports import ServerState
from danube_pkg.kit.clock_samples import ClockSample
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import decode_json, encode_json

READ_SECONDS = 30.0
"""Jobs that start between a jump and its notice are moved with the others: by at most so long, but for the jump."""

_NAME = "clock-sample"

_log = EventLog("danube.jobs")


class ClockWatch:
    """state: keeps the last reading. read: both clocks now."""

    def __init__(self, state: ServerState, read: Callable[[], ClockSample]) -> None:
        self._state = state
        self._read = read
        self._last: ClockSample | None = None

    async def jump(self) -> float:
        """By how many seconds the clock was set since the last call, of this server or of the one before; 0.0 for none.
        Raises PlatformError."""
        if self._last is None:
            stored = await self._state.recall(_NAME)
            self._last = decode_json(stored[0], ClockSample) if stored is not None else None
        now = self._read()
        seconds = jump_between(self._last, now) if self._last is not None else 0.0
        await self._state.remember(_NAME, encode_json(now).decode())
        self._last = now
        if seconds:
            _log.warning("clock-moved", seconds=round(seconds), what="deadlines of running jobs are moved with it")
        return seconds
