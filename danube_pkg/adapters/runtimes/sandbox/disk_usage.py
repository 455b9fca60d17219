"""What a pod takes on the disk, measured from outside: its directories. For files without a name see `open_files`."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory

WRITTEN_IN_A_CONTAINER = ("root", "upper", "tmp", "home")
"""Directories of a container that its programs write to. `work` belongs to the overlay, whose files are in `upper`
once they are complete."""


def written_directories(pod: PodDirectory) -> Sequence[Path]:
    """Every directory on the disk that programs of a pod write to."""
    containers = (pod.container(number) for number in pod.numbers())
    legs = [pod.legs] if pod.legs.is_dir() else []
    return [pod.workspace, *legs, *(container / name for container in containers for name in WRITTEN_IN_A_CONTAINER)]


def descendants(roots: Collection[int]) -> set[int]:
    """These processes and all below them. PID 1 of a container inherits every process in it that lost its parent."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (parent := _parent_of(int(name))):
            children.setdefault(parent, []).append(int(name))
    found, ahead = set[int](), list(roots)
    while ahead:
        process = ahead.pop()
        if process not in found:
            found.add(process)
            ahead += children.get(process, ())
    return found


def _parent_of(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
