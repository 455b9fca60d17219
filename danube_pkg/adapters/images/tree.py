"""A directory tree of which nothing can lead out: every step is one name below an open directory, never followed.

Links are resolved here and not by the kernel: an absolute one starts at the tree's own top, and `..` ends there.
"""

import contextlib
import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from danube_pkg.adapters.images.packed import LayerBroken
from danube_pkg.adapters.images.tar import shown

MAX_LINKS = 40
"""On one way; the kernel's own bound."""

MAX_DEPTH = 256
"""Directories in each other. The deepest real trees have some thirty."""

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
OPEN_DIRECTORIES = 128
"""Kept open for what comes next; far from the 1024 descriptors that a process may have."""

Place = tuple[bytes, ...]
"""A directory by the names that lead to it from the top, none of which is a link."""


class DirectoryTree:
    """The tree below one directory. Use as a context manager: it holds descriptors."""

    def __init__(self, top: Path) -> None:
        self._top = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._open: OrderedDict[Place, int] = OrderedDict()
        self._known: dict[bytes, Place] = {}

    def __enter__(self) -> "DirectoryTree":
        return self

    def __exit__(self, *_: object) -> None:
        self._forget(())
        os.close(self._top)

    def descriptor(self, place: Place) -> int:
        """An open directory; it belongs to the tree and may be closed by the next call."""
        if not place:
            return self._top
        known = self._open.get(place)
        if known is not None:
            self._open.move_to_end(place)
            return known
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        found = os.open(place[-1], flags, dir_fd=self.descriptor(place[:-1]))
        self._open[place] = found
        if len(self._open) > OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        return found

    def _forget(self, place: Place) -> None:
        """A directory is about to go: descriptors in it, and every way that was found before."""
        for other in [one for one in self._open if one[: len(place)] == place]:
            os.close(self._open.pop(other))
        self._known.clear()

    def split(self, path: bytes) -> Place:
        """The names of a member's path. Raises LayerBroken for one that no file system can have, or that leads upwards."""
        if len(path) > MAX_PATH_BYTES or b"\0" in path:
            raise LayerBroken(f"{shown(path)} is no path that a file can have")
        names = tuple(name for name in path.split(b"/") if name not in (b"", b"."))
        if b".." in names:
            raise LayerBroken(f"{shown(path)} leads out of the image by '..'")
        if len(names) > MAX_DEPTH:
            raise LayerBroken(f"{shown(path)} lies {len(names)} directories deep, at most {MAX_DEPTH} are made")
        if any(len(name) > MAX_NAME_BYTES for name in names):
            raise LayerBroken(f"{shown(path)} has a name of more than {MAX_NAME_BYTES} bytes")
        return names

    def directory(self, names: Place, *, made: "list[Place] | None" = None) -> Place:
        """Where these names lead, links resolved. made: missing directories are made and told there, but never those that only a
        link promises; None: nothing is made. Raises LayerBroken, FileNotFoundError where nothing may be made."""
        way = b"/".join(names)
        known = self._known.get(way)
        if known is None:
            known = self._known[way] = self._walk(names, made)
        return known

    def _walk(self, names: Place, made: "list[Place] | None") -> Place:
        at: list[bytes] = []
        ahead, links, promised = list(reversed(names)), 0, False
        while ahead:
            name = ahead.pop()
            if name == b"..":
                del at[-1:]
                continue
            mode = self.mode((*at, name))
            if mode is None:
                self._make((*at, name), names, made, promised=promised)
            elif stat.S_ISLNK(mode):
                links += 1
                if links > MAX_LINKS:
                    raise LayerBroken(f"{shown(b'/'.join(names))} goes through more than {MAX_LINKS} links")
                target = os.readlink(name, dir_fd=self.descriptor(tuple(at)))
                if target.startswith(b"/"):
                    at.clear()
                ahead += reversed([one for one in target.split(b"/") if one not in (b"", b".")])
                promised = True
                continue
            elif not stat.S_ISDIR(mode):
                raise LayerBroken(f"{shown(b'/'.join(names))} lies below {shown(name)}, which is no directory")
            at.append(name)
        return tuple(at)

    def _make(self, place: Place, names: Place, made: "list[Place] | None", *, promised: bool) -> None:
        if made is None:
            raise FileNotFoundError(os.fsdecode(b"/".join(names)))
        if promised:
            raise LayerBroken(
                f"{shown(b'/'.join(names))} would be written through a link to {shown(b'/' + b'/'.join(place))},"
                " which is not in the image"
            )
        os.mkdir(place[-1], 0o755, dir_fd=self.descriptor(place[:-1]))
        made.append(place)

    def mode(self, place: Place) -> int | None:
        """What lies there itself, never what it leads to; None where there is nothing."""
        if place in self._open:
            return stat.S_IFDIR
        try:
            return os.lstat(place[-1], dir_fd=self.descriptor(place[:-1])).st_mode
        except FileNotFoundError:
            return None

    def entries(self, place: Place) -> Sequence[bytes]:
        """The names in a directory."""
        return [os.fsencode(name) for name in os.listdir(self.descriptor(place))]

    def remove(self, place: Place) -> None:
        """What lies there, with everything in it; a link is removed and not followed."""
        mode = self.mode(place)
        if mode is None:
            return
        self._forget(place)
        parent = self.descriptor(place[:-1])
        if stat.S_ISDIR(mode):
            shutil.rmtree(place[-1], dir_fd=parent)
        else:
            os.unlink(place[-1], dir_fd=parent)

    @contextlib.contextmanager
    def reading(self, path: bytes) -> Iterator[int]:
        """A regular file of the tree, links resolved within it. Raises FileNotFoundError, LayerBroken."""
        names, links = self.split(path), 0
        while True:
            place = (*self.directory(names[:-1]), names[-1])
            mode = self.mode(place)
            if mode is None or not (stat.S_ISLNK(mode) or stat.S_ISREG(mode)):
                raise FileNotFoundError(os.fsdecode(path))
            if stat.S_ISREG(mode):
                break
            links += 1
            if links > MAX_LINKS:
                raise LayerBroken(f"{shown(path)} goes through more than {MAX_LINKS} links")
            target = os.readlink(place[-1], dir_fd=self.descriptor(place[:-1]))
            below = () if target.startswith(b"/") else place[:-1]
            names = (*below, *(one for one in target.split(b"/") if one not in (b"", b".")))
            if not names:
                raise FileNotFoundError(os.fsdecode(path))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place[-1], flags, dir_fd=self.descriptor(place[:-1]))
        try:
            yield descriptor
        finally:
            os.close(descriptor)
