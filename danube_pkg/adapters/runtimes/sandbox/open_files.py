"""Files on a disk that have no name any more but are open: what a pod takes beside its directories.

Blocks; call it in a thread. What cannot be read is reported, never as less.
"""

import ctypes
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from danube_pkg.kit.records import Record
from danube_pkg.kit.tree_sizes import TreeSize

MAX_OPEN_FILES = 200_000
"""Open files of one pod that are read at a time, which takes about two seconds. Large builds have some thousands."""

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})

_CLONE_NEWUSER = 0x10000000

_GONE = (FileNotFoundError, NotADirectoryError, ProcessLookupError)


class UnnamedFiles(Record):
    """sizes: bytes on the disk by device and inode, so that each counts once. unreadable: processes whose open files
    this process may not see. problem: why not all were read."""

    sizes: Mapping[tuple[int, int], int]
    unreadable: tuple[int, ...] = ()
    problem: str = ""

    @property
    def total(self) -> TreeSize:
        """A process that cannot be read is a problem."""
        problem = self.problem
        if self.unreadable and not problem:
            problem = f"the open files of process {self.unreadable[0]} cannot be read"
        return TreeSize(sum(self.sizes.values()), len(self.sizes), problem)


def unnamed_files(processes: Iterable[int]) -> UnnamedFiles:
    """Files on a disk that have no name any more and that one of these processes has open."""
    sizes: dict[tuple[int, int], int] = {}
    unreadable: list[int] = []
    left = 0
    for process in processes:
        in_memory: frozenset[int] | None = None
        try:
            for file in _open_files(process):
                left += 1
                if left > MAX_OPEN_FILES:
                    what = f"its processes have more than {MAX_OPEN_FILES} open files"
                    return UnnamedFiles(sizes, tuple(unreadable), what)
                if file.st_nlink or not stat.S_ISREG(file.st_mode) or (file.st_dev, file.st_ino) in sizes:
                    continue
                if in_memory is None:
                    in_memory = _devices_in_memory(process)
                if file.st_dev not in in_memory:
                    sizes[file.st_dev, file.st_ino] = file.st_blocks * 512
        except PermissionError:
            if not _has_ended(process):
                unreadable.append(process)
    return UnnamedFiles(sizes, tuple(unreadable))


def enter_user_namespace(process: int) -> None:
    """Get the rights of root in the user namespace of a process. Its creator may, also as an ordinary user, and reads
    the open files of all its processes then (user_namespaces(7)). Only for a process with one thread. Raises
    OSError."""
    namespace = os.open(f"/proc/{process}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWUSER) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"the user namespace of process {process}: {os.strerror(code)}")
    finally:
        os.close(namespace)


def _open_files(process: int) -> Iterator[os.stat_result]:
    """The files that a process has open, as far as it lives. Raises PermissionError."""
    directory = f"/proc/{process}/fd"
    try:
        names = os.listdir(directory)
    except _GONE:
        return
    for name in names:
        try:
            yield os.stat(f"{directory}/{name}")
        except _GONE:  # closed since it was listed
            continue
        except PermissionError:
            raise
        except OSError:  # of a file system that does not answer, so not of the pod's disk
            continue


def _has_ended(process: int) -> bool:
    """A process that waits for its parent to read its end has no open files, and no user may read that."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (*_GONE, IndexError):
        return True
    return state in ("Z", "X")


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
