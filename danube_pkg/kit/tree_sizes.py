"""Measures what directory trees take on a disk while untrusted code changes them.

The walk is not atomic: what is moved meanwhile may be counted twice or not at all, and the next measurement sees it. A
directory that is renamed again and again to escape is a problem of its own, as is everything else that cannot be read:
who asked for a limit takes such a tree as too large.
"""

import errno
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from danube_pkg.kit.descent import OPEN_DIRECTORY, OWN_LIMITS, Descent, Identity, TreeChanged, descent_from, identity_of
from danube_pkg.kit.records import Record, replace

REREADS = 100
"""How often one directory is read again because another in it had vanished: a build that makes and removes
directories all the time is met a few times."""

TRIES = 3
"""Measurements of a tree whose deep directories are moved meanwhile."""

_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
"""The entry was removed, or replaced by a file or a link, since its name was read."""


class TreeSize(Record):
    """What trees take on the disk. problem: why a part of them could not be measured, "" if all of it was."""

    size_bytes: int = 0
    inodes: int = 0
    problem: str = ""

    def exceeds(self, most: "TreeSize") -> bool:
        return self.size_bytes > most.size_bytes or self.inodes > most.inodes


def measure_trees(tops: Iterable[Path], most: TreeSize) -> TreeSize:
    """Files with several names count once. Ends early when the sum exceeds `most`, which bounds the memory too.

    A tree that does not exist is empty. Raises OSError only where this process lacks descriptors or memory.
    """
    places = tuple(tops)
    for left in reversed(range(TRIES)):
        measurement = _Measurement(most)
        try:
            for top in places:
                measurement.add(top)
        except TreeChanged as error:
            if left:
                continue
            return replace(measurement.size, problem=str(error.strerror))
        return measurement.size
    raise AssertionError("unreachable: the last try returns")


class _Level:
    """A directory on the way. ahead: names of directories to enter next. missed: one of them had vanished."""

    __slots__ = ("ahead", "missed", "rereads")

    def __init__(self, ahead: list[str]) -> None:
        self.ahead = ahead
        self.missed = False
        self.rereads = 0


class _Measurement:
    """A sum over trees. most: where it may end."""

    def __init__(self, most: TreeSize) -> None:
        self._most = most
        self._seen: set[Identity] = set()
        self._bytes = 0
        self._inodes = 0
        self._problem = ""

    @property
    def size(self) -> TreeSize:
        return TreeSize(self._bytes, self._inodes, self._problem)

    def _is_over(self) -> bool:
        return self._bytes > self._most.size_bytes or self._inodes > self._most.inodes

    def add(self, top: Path) -> None:
        """Add a tree. Raises TreeChanged."""
        try:
            opened = os.open(top, OPEN_DIRECTORY)
        except OSError as error:
            self._note(error)
            return
        with descent_from(opened) as way:
            if way.identity in self._seen:
                return
            self._count_directory(way)
            levels = [_Level(self._read(way))]
            while levels and not self._is_over():
                self._advance(way, levels)

    def _advance(self, way: Descent, levels: list[_Level]) -> None:
        level = levels[-1]
        if level.ahead:
            if self._enter(way, level, level.ahead.pop()):
                levels.append(_Level(self._read(way)))
        elif level.missed:
            self._reread(way, level)
        else:
            levels.pop()
            if levels:
                way.leave()

    def _enter(self, way: Descent, level: _Level, name: str) -> bool:
        """Whether the way leads into a directory that was not measured yet."""
        try:
            way.enter(name)
        except OSError as error:
            level.missed = level.missed or error.errno in _VANISHED
            self._note(error)
            return False
        if way.identity in self._seen:
            way.leave()
            return False
        self._count_directory(way)
        return True

    def _count_directory(self, way: Descent) -> None:
        self._seen.add(way.identity)
        self._bytes += os.fstat(way.current).st_blocks * 512
        self._inodes += 1

    def _read(self, way: Descent) -> list[str]:
        """Count the files of the current directory; the names of the directories in it."""
        found: list[str] = []
        try:
            with os.scandir(way.current) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        found.append(entry.name)
                    else:
                        self._count_file(entry)
                    if len(found) > self._most.inodes:  # each is an inode: no more names are needed to be over
                        self._inodes += len(found)
                    if self._is_over():
                        return []
        except OSError as error:
            self._note(error)
        return found

    def _count_file(self, entry: "os.DirEntry[str]") -> None:
        try:
            file = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        if file.st_nlink > 1:
            identity = (file.st_dev, file.st_ino)
            if identity in self._seen:
                return
            self._seen.add(identity)
        self._bytes += file.st_blocks * 512
        self._inodes += 1

    def _reread(self, way: Descent, level: _Level) -> None:
        """Find directories under new names: one whose name had vanished may have been renamed. Raises TreeChanged."""
        level.missed = False
        level.rereads += 1
        if level.rereads > REREADS:
            raise TreeChanged("directories are renamed as fast as they are read")
        device = identity_of(way.current)[0]
        try:
            with os.scandir(way.current) as entries:
                unseen = (
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and (device, entry.inode()) not in self._seen
                )
                level.ahead = list(itertools.islice(unseen, self._most.inodes + 1))
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        """Raises the error if it is this process's own."""
        if error.errno in OWN_LIMITS:
            raise error
        if error.errno not in _VANISHED:
            self._problem = self._problem or (error.strerror or str(error))
