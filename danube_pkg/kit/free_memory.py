"""Whether this machine has memory left, as the kernel estimates it (proc_meminfo(5), MemAvailable)."""

from pathlib import Path

SHORT_SHARE = 1 / 20
"""Below this part of the memory the kernel is soon about to end processes."""


def is_memory_short(meminfo: Path = Path("/proc/meminfo")) -> bool:
    """False where it cannot be known."""
    try:
        words = meminfo.read_text().split()
        available, total = (int(words[words.index(f"{name}:") + 1]) for name in ("MemAvailable", "MemTotal"))
    except (OSError, ValueError, IndexError):
        return False
    return available < total * SHORT_SHARE
