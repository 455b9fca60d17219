"""Dex as a child program of the server: begun with a file, begun again when the file changes or Dex ends, ended with the server.

The kernel ends it when the server is killed (`danube-ns tied`), so that there is never a second one on its port and its
database. What it prints goes into the server's own log. Its database and its keys stay where they are, so logins that are
under way go on after a restart.
"""

import asyncio
import contextlib
import logging
import os
import random
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged, until

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries to begin a Dex that ends; somebody who mends its cause does not wait longer."""

STEADY_SECONDS = 60.0
"""A Dex that has lived so long was well: the pauses begin anew."""

GRACE_SECONDS = 5.0
"""A request to Dex takes milliseconds; what is left after this is killed."""

LINE_BYTES = 8 * 1024
"""Of what it prints; a longer line is left out."""

CAUSE_LENGTH = 300

_log = logging.getLogger("danube.dex")


class DexFiles(Record):
    """program: Dex. launcher: danube-ns. directory: where its file lies, and its database."""

    program: Path
    launcher: Path
    directory: Path


class ChildDex:
    """`core.identity.ports.DexRunner`. Close it after use."""

    def __init__(self, files: DexFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
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

    def last_failure(self) -> str:
        return self._trouble

    async def close(self) -> None:
        """Dex ends."""
        await self._owner.close()

    async def _keep_running(self) -> None:
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, random.random)
        while True:
            self._changed.clear()
            began = self._clock.monotonic()
            try:
                await self._run()
            except OSError as error:
                self._trouble = f"{self._files.program}: {error.strerror or error}"
            if self._changed.is_set():
                backoff.reset()
                continue
            if self._clock.monotonic() > began + STEADY_SECONDS:
                backoff.reset()
            _log.error("dex-ended", extra={"fields": {"cause": self._trouble}})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.next()):
                    await self._changed.wait()

    async def _run(self) -> None:
        """From its beginning until it has ended, of itself or because its file has changed."""
        process = await asyncio.create_subprocess_exec(
            str(self._files.launcher), "tied", str(os.getpid()), str(self._files.program), "serve", str(self._file),
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, limit=LINE_BYTES, cwd=self._files.directory,
            env={"DEX_EXPAND_ENV": "false", "LANG": "C.UTF-8"},
        )  # fmt: skip
        _log.info("dex-begun", extra={"fields": {"process": process.pid}})
        try:
            said = await until(self._changed.wait(), _listen(process), name="dex's output")
            self._trouble = "it is being begun again" if said is None else said or "it ended without a word"
        finally:
            await _end(process)


async def _listen(process: Process) -> str:
    """What it prints into the log, and the last line of it when it has ended."""
    assert process.stdout is not None
    last = ""
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than LINE_BYTES, and thrown away already
            continue
        if not line:
            await process.wait()
            return last
        last = line.decode("utf-8", "replace").strip()[:CAUSE_LENGTH] or last
        _log.info("dex-says", extra={"fields": {"line": last}})


async def _end(process: Process) -> None:
    """Ended when this returns."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
