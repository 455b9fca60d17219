"""What a pod takes on the disk, measured from outside: its files, and files that have no name any more but are open.

Blocks; call it in a thread. What cannot be measured is reported as a problem, never as less.
"""

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory
from danube_pkg.kit.records import replace
from danube_pkg.kit.tree_sizes import TreeSize, measure_trees

MAX_OPEN_FILES = 200_000
"""Open files of one pod that are read at a time, which takes about two seconds. Large builds have some thousands."""

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})

WRITTEN_IN_A_CONTAINER = ("root", "upper", "tmp", "home")
"""Directories of a container that its programs write to. `work` belongs to the overlay, whose files are in `upper`
once they are complete."""


def written_directories(pod: PodDirectory) -> Sequence[Path]:
    """Every directory on the disk that programs of a pod write to."""
    containers = (pod.container(number) for number in pod.numbers())
    legs = [pod.legs] if pod.legs.is_dir() else []
    return [pod.workspace, *legs, *(container / name for container in containers for name in WRITTEN_IN_A_CONTAINER)]


def disk_usage(directories: Iterable[Path], processes: Collection[int], most: TreeSize) -> TreeSize:
    """The sum of trees and of files without a name that these processes have open; ends early above `most`."""
    named = measure_trees(directories, most)
    if named.exceeds(most):
        return named
    open_files = unlinked_files(processes)
    return replace(
        open_files,
        size_bytes=named.size_bytes + open_files.size_bytes,
        inodes=named.inodes + open_files.inodes,
        problem=named.problem or open_files.problem,
    )


def unlinked_files(processes: Iterable[int]) -> TreeSize:
    """Files on a disk that have no name any more and that one of these processes has open. Each counts once."""
    seen: set[tuple[int, int]] = set()
    memory: dict[int, frozenset[int]] = {}
    size_bytes = left = 0
    for process in processes:
        for file in _open_files(process):
            left += 1
            if left > MAX_OPEN_FILES:
                return TreeSize(size_bytes, len(seen), f"its processes have more than {MAX_OPEN_FILES} open files")
            if file.st_nlink or not stat.S_ISREG(file.st_mode) or (file.st_dev, file.st_ino) in seen:
                continue
            if process not in memory:
                memory[process] = _devices_in_memory(process)
            if file.st_dev not in memory[process]:
                seen.add((file.st_dev, file.st_ino))
                size_bytes += file.st_blocks * 512
    return TreeSize(size_bytes, len(seen))


def _open_files(process: int) -> Iterable[os.stat_result]:
    """The files that a process has open, as far as it lives."""
    directory = f"/proc/{process}/fd"
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        try:
            yield os.stat(f"{directory}/{name}")
        except OSError:
            continue


def _devices_in_memory(process: int) -> frozenset[int]:
    """Devices whose files are in memory and not on a disk: the process's file systems of that kind, and memfd."""
    anonymous = os.memfd_create("danube", os.MFD_CLOEXEC)
    try:
        found = {os.fstat(anonymous).st_dev}
    finally:
        os.close(anonymous)
    try:
        lines = Path(f"/proc/{process}/mountinfo").read_bytes().splitlines()
    except OSError:
        return frozenset(found)
    for line in lines:  # proc(5): the device is the third field, and the type follows a lone `-`
        fields, _, rest = line.partition(b" - ")
        if rest.split(b" ", 1)[0].decode(errors="replace") in _IN_MEMORY:
            major, _, minor = fields.split()[2].partition(b":")
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)


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
