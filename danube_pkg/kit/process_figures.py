"""What a running process holds, read from proc(5)."""

import os
from pathlib import Path


def descriptors_of(process_id: int) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{process_id}/fd"))


def memory_mb(process_id: int) -> float:
    """The resident memory of a process: VmRSS of proc(5)."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))
