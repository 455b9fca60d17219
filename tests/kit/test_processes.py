"""Child processes whose pipes are closed: nothing is left for Python to close after the event loop."""

import asyncio
import gc
import os
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from danube_pkg.kit.processes import child_process
from tests.support.waiting import let_others_run

PIPE = asyncio.subprocess.PIPE
Use = Callable[[Path], Awaitable[object]]

STARTS_A_GRANDCHILD = """
    import pathlib, subprocess, sys
    child = subprocess.Popen(["sleep", "30"])
    pathlib.Path(sys.argv[1]).write_text(f"{child.pid}\\n")
"""
"""The grandchild inherits the pipes, and keeps them open after its parent has ended."""


async def _never_ends(mark: Path) -> None:
    async with child_process("sh", "-c", f"echo $$ > {mark}; exec sleep 30", stdout=PIPE, stderr=PIPE) as process:
        await process.communicate()


async def _has_a_grandchild(mark: Path) -> None:
    words = (sys.executable, "-S", "-c", textwrap.dedent(STARTS_A_GRANDCHILD), str(mark))
    async with child_process(*words, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        await process.communicate()


async def _cancelled(use: Use, mark: Path) -> None:
    """Cancel it when its process has written its mark."""
    task = asyncio.create_task(_as_coroutine(use(mark)), name="cancelled")
    while not mark.exists() or not mark.read_text().endswith("\n"):
        await let_others_run()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _as_coroutine(use: Awaitable[object]) -> None:
    await use


@pytest.mark.parametrize("use", [_never_ends, _has_a_grandchild])
def test_nothing_is_left_open_when_the_waiting_task_is_cancelled(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unraisable.append(f"{found.exc_value} in {found.object}"))
    before = len(os.listdir("/proc/self/fd"))
    mark = tmp_path / "mark"
    asyncio.run(_cancelled(use, mark))
    gc.collect()
    assert unraisable == []
    assert len(os.listdir("/proc/self/fd")) == before
    if use is _has_a_grandchild:
        os.kill(int(mark.read_text()), 9)
    else:
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)


async def test_a_process_that_ends_by_itself_keeps_its_exit_code() -> None:
    async with child_process("sh", "-c", "cat; exit 3", stdin=PIPE, stdout=PIPE) as process:
        output, _ = await process.communicate(b"text")
    assert (process.returncode, output) == (3, b"text")


async def test_what_cannot_be_started_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        async with child_process("/nowhere/program", stdout=PIPE):
            raise AssertionError("it was started")
