"""Runs the machine's programs for file systems: mkfs.ext4, mount, umount."""

import asyncio
import shutil
import subprocess
from collections.abc import Sequence

from danube_pkg.kit.processes import child_process

COMMAND_SECONDS = 30.0
"""Each of them takes some hundredths of a second."""

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C"}


class DiskRefused(Exception):
    """This machine does not give a pod a file system of its own. The message says why."""


def check_installed(*programs: str) -> None:
    """Raises DiskRefused for the first program that is missing."""
    for program in programs:
        if shutil.which(program, path=_PATH) is None:
            raise DiskRefused(f"{program} is not installed")


async def run_command(*words: str) -> None:
    """Run a program. Raises DiskRefused with what it printed."""
    async with child_process(
        *words, env=_ENVIRONMENT, cwd="/",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                _, errors = await process.communicate()
        except TimeoutError as error:
            raise DiskRefused(f"{words[0]} took longer than {COMMAND_SECONDS:.0f} s") from error
    if process.returncode:
        raise DiskRefused(_cause(words, errors.decode(errors="replace")))


def run_blocking(*words: str) -> None:
    """As `run_command`, before there is an event loop."""
    done = subprocess.run(words, env=_ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise DiskRefused(_cause(words, done.stderr))


def _cause(words: Sequence[str], printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return lines[0][:200] if lines else f"{words[0]} failed"
