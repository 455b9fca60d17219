"""Which processes the kernel ends first when memory is short: `oom_score_adj` of proc(5), from -1000 (never) to 1000.

A process counts as if it used so many thousandths of the memory more, or less. What it starts has the same value. Only
a process with CAP_SYS_RESOURCE may lower it.
"""

from pathlib import Path

_FILE = Path("/proc/self/oom_score_adj")


def oom_score() -> int:
    """The value of this process."""
    return int(_FILE.read_text())


def lower_oom_score(wanted: int) -> bool:
    """Lower it for this process to `wanted`. False where that is not allowed. A value that is lower already is kept."""
    try:
        if oom_score() > wanted:
            _FILE.write_text(str(wanted))
    except PermissionError:
        return False
    return True
