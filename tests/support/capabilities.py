"""What this process may do on this machine: root of a container often has not all capabilities of root."""

from pathlib import Path

_SYS_RESOURCE = 24
"""CAP_SYS_RESOURCE in capabilities(7)."""


def may_lower_oom_score() -> bool:
    """Whether the kernel allows it to lower oom_score_adj, and keeps others from lowering what it has set."""
    line = Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0]
    return bool(int(line, 16) >> _SYS_RESOURCE & 1)
