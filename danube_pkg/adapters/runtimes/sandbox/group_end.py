"""Ends every process of a control group, also of one that starts processes faster than they can be killed.

Version 2 has a file for it. Elsewhere the group is frozen first: what is frozen starts nothing, and no process id of it
can be reused. The limit of the processor is lifted, since processes end on their own time.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.cgroups import tree_of
from danube_pkg.core.errors import Unavailable

END_SECONDS = 10.0
"""Thousands of processes on a busy machine take a second or two. The caller tries again."""

FREEZE_SECONDS = 0.5
"""A process that waits for a disk does not freeze; the others are killed all the same."""

EMPTY_SECONDS = 0.5
"""Until the group is frozen again: a process that was being started was not seen."""

_CHECK_SECONDS = 0.01
"""Version 1 has no event for a group that has become frozen or empty."""

_AT_ONCE = 256
"""Descriptors that are open at the same time; a process may have 1024."""

KILL_FILE = "cgroup.kill"
"""Version 2 has it since Linux 5.14."""

_LIFTED = {"cpu.max": "max", "cpu.cfs_quota_us": "-1"}


def processes_of(groups: Sequence[Path]) -> set[int]:
    """The processes of groups and of all groups in them; zombies are not among them."""
    return _processes_in([directory for group in groups for directory in tree_of(str(group))])


def _processes_in(directories: Sequence[str]) -> set[int]:
    """The processes of these groups alone."""
    found: set[int] = set()
    for directory in directories:
        with contextlib.suppress(FileNotFoundError), open(f"{directory}/cgroup.procs", "rb", buffering=0) as file:
            found.update(map(int, file.readall().split()))
    return found - {0}  # the kernel writes 0 for a process outside this PID namespace


async def end_groups(groups: Sequence[Path], name: str) -> None:
    """Returns when no process of these groups is left. groups: of one pod or container, one for each hierarchy.

    name: of the pod or container, for the error. Raises Unavailable while one is left.
    """
    for group in groups:
        for file, value in _LIFTED.items():
            with contextlib.suppress(OSError):  # this hierarchy has no such limit
                if (group / file).exists():
                    (group / file).write_text(value)
    deadline = asyncio.get_running_loop().time() + END_SECONDS
    while left := processes_of(groups):
        if asyncio.get_running_loop().time() > deadline:
            what = f"{len(left)} processes of {name} have not ended yet"
            raise Unavailable("pod-busy", what, cause=_state_of(min(left)))
        await _end_once(groups)
        await _wait(lambda: not processes_of(groups), EMPTY_SECONDS)


async def _end_once(groups: Sequence[Path]) -> None:
    kill_files = [group / KILL_FILE for group in groups if (group / KILL_FILE).exists()]
    if kill_files:
        for file in kill_files:
            file.write_text("1")
        return
    frozen = [group for group in groups if _write_state(group, frozen=True)]
    try:
        await _wait(lambda: all(map(_is_frozen, frozen)), FREEZE_SECONDS)
        _kill(groups)
    finally:
        for group in frozen:
            _write_state(group, frozen=False)


def _kill(groups: Sequence[Path]) -> None:
    """A process that ends meanwhile, whose id another one gets, is not in the groups any more at the second reading."""
    pids = sorted(processes_of(groups))
    for begin in range(0, len(pids), _AT_ONCE):
        with contextlib.ExitStack() as stack:
            opened = {}
            for pid in pids[begin : begin + _AT_ONCE]:
                with contextlib.suppress(ProcessLookupError):
                    opened[pid] = os.pidfd_open(pid)
                    stack.callback(os.close, opened[pid])
            for pid in opened.keys() & processes_of(groups):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(opened[pid], signal.SIGKILL)


def _write_state(group: Path, *, frozen: bool) -> bool:
    """Whether the group can be frozen in this hierarchy."""
    for file, words in (("cgroup.freeze", ("0", "1")), ("freezer.state", ("THAWED", "FROZEN"))):
        if (group / file).exists():
            with contextlib.suppress(OSError):  # it is removed meanwhile, or holds a process that does not freeze
                (group / file).write_text(words[frozen])
            return True
    return False


def _is_frozen(group: Path) -> bool:
    for file, word in (("cgroup.events", "frozen 1"), ("freezer.state", "FROZEN")):
        with contextlib.suppress(FileNotFoundError):
            if word in (group / file).read_text().splitlines():
                return True
    return False


async def _wait(condition: Callable[[], bool], seconds: float) -> None:
    """Returns when the condition holds, or after that time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(_CHECK_SECONDS)


def _state_of(pid: int) -> str:
    """One process that is left, with its state: D waits for the kernel."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return f"process {pid} is in state {state}"
    return ""
