"""Processes that a signal has stopped (SIGSTOP): they would hold their caller until its timeout, so they are ended."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.tasks import end_all

POLL_SECONDS = 5.0
"""A process is ended when it is stopped at two polls in a row."""

_log = EventLog("danube.processes")


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal; not one that a debugger holds, nor one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False


def end_stopped(pid: int, what: str) -> bool:
    """SIGKILL to a process of ours that is stopped, with a line in the log. what: its name there."""
    if not is_stopped(pid):
        return False
    _log.warning("process-stopped", what=what, pid=pid, then="it is ended, and replaced where it is needed")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


@asynccontextmanager
async def without_stops(what: str, *pids: int) -> AsyncIterator[None]:
    """Ends each of these processes that is stopped while the block runs. They are not reaped meanwhile, or their ids
    could be those of others."""
    watch = asyncio.get_running_loop().create_task(_watch(what, pids), name=f"stops of {what}")
    try:
        yield
    finally:
        await end_all(watch)


async def _watch(what: str, pids: Sequence[int]) -> None:
    before: set[int] = set()
    while True:
        await asyncio.sleep(POLL_SECONDS)
        now = set(filter(is_stopped, pids))
        for pid in now & before:
            end_stopped(pid, what)
        before = now
