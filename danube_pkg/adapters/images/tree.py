"""A directory tree that no path and no link can leave: each step opens one name below an open directory.

Links are resolved here and not by the kernel: an absolute one starts at the top of the tree, and `..` ends there.
"""

import contextlib
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from danube_pkg.adapters.images.packed import LayerBroken
from danube_pkg.adapters.images.tar import shown
from danube_pkg.kit.trees import remove_entry

MAX_LINKS = 40
"""Links on one path; the kernel has the same limit."""

MAX_DEPTH = 256
"""Depth of directories. The deepest real trees have about thirty."""

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
OPEN_DIRECTORIES = 128
"""Directories kept open for later paths; far below the limit of 1024 descriptors."""

TreePath = tuple[bytes, ...]
"""A path by its names from the top, none of which is a link."""


class DirectoryTree:
    """The tree below one directory. A context manager, since it holds descriptors."""

    def __init__(self, top: Path) -> None:
        self._top = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._open: OrderedDict[TreePath, int] = OrderedDict()
        self._known: dict[bytes, TreePath] = {}

    def __enter__(self) -> "DirectoryTree":
        return self

    def __exit__(self, *_: object) -> None:
        self._forget(())
        os.close(self._top)

    def descriptor(self, location: TreePath) -> int:
        """The descriptor of a directory; the tree owns it and may close it in the next call."""
        if not location:
            return self._top
        known = self._open.get(location)
        if known is not None:
            self._open.move_to_end(location)
            return known
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        found = os.open(location[-1], flags, dir_fd=self.descriptor(location[:-1]))
        self._open[location] = found
        if len(self._open) > OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        return found

    def _forget(self, location: TreePath) -> None:
        """Closes the descriptors of a directory that will be removed, and clears the cache of paths."""
        for other in [one for one in self._open if one[: len(location)] == location]:
            os.close(self._open.pop(other))
        self._known.clear()

    def split(self, path: bytes) -> TreePath:
        """The names of a member's path. Raises LayerBroken if it is not valid or leads upwards."""
        if len(path) > MAX_PATH_BYTES or b"\0" in path:
            raise LayerBroken(f"{shown(path)} is not a valid path")
        names = tuple(name for name in path.split(b"/") if name not in (b"", b"."))
        if b".." in names:
            raise LayerBroken(f"{shown(path)} leads out of the image by '..'")
        if len(names) > MAX_DEPTH:
            raise LayerBroken(f"{shown(path)} is {len(names)} directories deep, the limit is {MAX_DEPTH}")
        if any(len(name) > MAX_NAME_BYTES for name in names):
            raise LayerBroken(f"{shown(path)} has a name of more than {MAX_NAME_BYTES} bytes")
        return names

    def directory(self, names: TreePath, *, made: "list[TreePath] | None" = None) -> TreePath:
        """The directory at a path, with links resolved.

        made: missing directories are created and appended to it, but not the missing target of a link. None: raises
        FileNotFoundError for a missing directory. Raises LayerBroken.
        """
        key = b"/".join(names)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._walk(names, made)
        return known

    def _walk(self, names: TreePath, made: "list[TreePath] | None") -> TreePath:
        at: list[bytes] = []
        ahead, links, through_link = list(reversed(names)), 0, False
        while ahead:
            name = ahead.pop()
            if name == b"..":
                del at[-1:]
                continue
            mode = self.mode((*at, name))
            if mode is None:
                self._make((*at, name), names, made, through_link=through_link)
            elif stat.S_ISLNK(mode):
                links += 1
                if links > MAX_LINKS:
                    raise LayerBroken(f"{shown(b'/'.join(names))} goes through more than {MAX_LINKS} links")
                target = os.readlink(name, dir_fd=self.descriptor(tuple(at)))
                if target.startswith(b"/"):
                    at.clear()
                ahead += reversed([one for one in target.split(b"/") if one not in (b"", b".")])
                through_link = True
                continue
            elif not stat.S_ISDIR(mode):
                raise LayerBroken(f"{shown(b'/'.join(names))} is below {shown(name)}, which is not a directory")
            at.append(name)
            if len(at) > MAX_DEPTH:  # links on a short path can lead to a deep directory
                raise LayerBroken(f"{shown(b'/'.join(names))} leads more than {MAX_DEPTH} directories deep")
        return tuple(at)

    def _make(self, location: TreePath, names: TreePath, made: "list[TreePath] | None", *, through_link: bool) -> None:
        if made is None:
            raise FileNotFoundError(os.fsdecode(b"/".join(names)))
        if through_link:
            raise LayerBroken(
                f"{shown(b'/'.join(names))} would be written through a link to {shown(b'/' + b'/'.join(location))},"
                " which is not in the image"
            )
        os.mkdir(location[-1], 0o755, dir_fd=self.descriptor(location[:-1]))
        made.append(location)

    def mode(self, location: TreePath) -> int | None:
        """The mode of a file, without following a link; None if it does not exist."""
        if location in self._open:
            return stat.S_IFDIR
        try:
            return os.lstat(location[-1], dir_fd=self.descriptor(location[:-1])).st_mode
        except FileNotFoundError:
            return None

    def entries(self, location: TreePath) -> Sequence[bytes]:
        """The names in a directory."""
        return [os.fsencode(name) for name in os.listdir(self.descriptor(location))]

    def remove(self, location: TreePath) -> None:
        """Removes a file or a directory with its content; a link is not followed."""
        mode = self.mode(location)
        if mode is None:
            return
        self._forget(location)
        parent = self.descriptor(location[:-1])
        if stat.S_ISDIR(mode):
            remove_entry(os.fsdecode(location[-1]), parent)
        else:
            os.unlink(location[-1], dir_fd=parent)

    @contextlib.contextmanager
    def reading(self, path: bytes) -> Iterator[int]:
        """The descriptor of a regular file, with links resolved within the tree.

        Raises FileNotFoundError, LayerBroken.
        """
        names, links = self.split(path), 0
        while True:
            location = (*self.directory(names[:-1]), names[-1])
            mode = self.mode(location)
            if mode is None or not (stat.S_ISLNK(mode) or stat.S_ISREG(mode)):
                raise FileNotFoundError(os.fsdecode(path))
            if stat.S_ISREG(mode):
                break
            links += 1
            if links > MAX_LINKS:
                raise LayerBroken(f"{shown(path)} goes through more than {MAX_LINKS} links")
            target = os.readlink(location[-1], dir_fd=self.descriptor(location[:-1]))
            below = () if target.startswith(b"/") else location[:-1]
            names = (*below, *(one for one in target.split(b"/") if one not in (b"", b".")))
            if not names:
                raise FileNotFoundError(os.fsdecode(path))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(location[-1], flags, dir_fd=self.descriptor(location[:-1]))
        try:
            yield descriptor
        finally:
            os.close(descriptor)
