"""Dex as a child process of the server: started with a configuration file, restarted when the file changes or Dex ends.

The kernel ends Dex when the server is killed (`danube-ns tied`), so that no second Dex has its port and its database.
Its output goes to the server's log. Its database and its keys are kept, so that logins in progress continue after a
restart.
"""

import asyncio
import contextlib
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.loops import Pauses, Streak, Timing
from danube_pkg.kit.processes import child_process
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, end_all, logged, until

PAUSES = Pauses(first=0.1, cap=30.0)
"""Between two starts of a Dex that ends: after the cause is fixed, users can log in within 30 s."""

STEADY_SECONDS = 60.0
"""A Dex that has run so long has started well: its next failure begins a new streak."""

GRACE_SECONDS = 5.0
"""Time to end after SIGTERM, before SIGKILL; a request to Dex takes milliseconds."""

LINE_BYTES = 8 * 1024
"""Longest line of output; longer ones are left out."""

CAUSE_LENGTH = 300

_log = logging.getLogger("danube.dex")


class _DexEnded(Exception):
    """Dex ended without a request of the server. str(): its last line of output."""


class DexFiles(Record):
    """program: Dex. launcher: danube-ns. directory: holds its configuration file and its database."""

    program: Path
    launcher: Path
    directory: Path


class ChildDex:
    """`core.identity.ports.DexRunner`. Close it after use."""

    def __init__(self, files: DexFiles, timing: Timing) -> None:
        self._files = files
        self._timing = timing
        self._streak = Streak("dex", timing, PAUSES, log=_log)
        self._file = files.directory / "dex.yaml"
        self._configuration = ""
        self._changed = asyncio.Event()
        self._trouble = ""
        self._owner = TaskOwner(logged(_log))

    async def apply(self, configuration: str) -> None:
        if configuration == self._configuration:
            return
        self._files.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._file, configuration.encode())
        if not self._configuration:
            self._owner.start("dex", self._keep_running())
        self._configuration = configuration
        self._changed.set()

    def restart(self) -> None:
        if self._configuration:
            self._changed.set()

    def last_failure(self) -> str:
        return self._trouble

    async def close(self) -> None:
        """Ends Dex."""
        await self._owner.close()

    async def _keep_running(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._run()
                continue
            except _DexEnded as error:
                pause = self._streak.failed(error)
                self._trouble = str(error)
            except OSError as error:
                pause = self._streak.failed(error)
                self._trouble = f"{self._files.program}: {error.strerror or error}"
            await until(self._changed.wait(), self._timing.clock.sleep(pause), name="pause before Dex starts again")

    async def _run(self) -> None:
        """Runs Dex until its file changes. Raises _DexEnded, or OSError if it cannot be started."""
        async with child_process(
            str(self._files.launcher), "tied", str(os.getpid()), str(self._files.program), "serve", str(self._file),
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, limit_bytes=LINE_BYTES, cwd=self._files.directory,
            env={"DEX_EXPAND_ENV": "false", "LANG": "C.UTF-8"},
        ) as process:  # fmt: skip
            _log.info("dex-begun", extra={"fields": {"process": process.pid}})
            try:
                steady = self._owner.start("dex is steady", self._end_streak())
                last_line = await until(self._changed.wait(), _log_output(process), name="dex's output")
                await end_all(steady)
            finally:
                await _end(process)
        if last_line is not None and not self._changed.is_set():
            raise _DexEnded(last_line or "it ended without output")
        self._trouble = "it is restarting"

    async def _end_streak(self) -> None:
        await self._timing.clock.sleep(STEADY_SECONDS)
        self._streak.succeeded()


async def _log_output(process: Process) -> str:
    """Writes the output into the log. Returns its last line when the process has ended."""
    assert process.stdout is not None
    last = ""
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than LINE_BYTES, and discarded already
            continue
        if not line:
            await process.wait()
            return last
        last = line.decode("utf-8", "replace").strip()[:CAUSE_LENGTH] or last
        _log.info("dex-says", extra={"fields": {"line": last}})


async def _end(process: Process) -> None:
    """Ends the process; it has ended when this returns."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
