"""The way from a directory down into a tree that untrusted code made, and up again, by descriptors.

No path is built and no link is followed, so neither the depth, the names nor a directory that is replaced by a link
meanwhile leads anywhere else. The descriptors of the first directories stay open; below them one is open at a time, and
the way up is `..`, checked against the device and inode that were seen on the way down.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

KEPT_OPEN = 48
"""Directories of one way that stay open. Real trees are not deeper; a process may have 1024 descriptors."""

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

MAX_SHOWN = 80
"""Characters of a name in a message: a name may have 255 bytes, and none of them need be printable."""

OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say that this process or the machine lacks something, and nothing about the tree."""

Identity = tuple[int, int]
"""Device and inode."""


class TreeChanged(OSError):
    """The tree was changed while it was read, so that the way through it was lost."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EBUSY, what)


class Descent:
    """The open directories from the first one down to the current one.

    A directory is closed when it is left; `close` closes those that are left open after an error.
    """

    def __init__(self, first: int) -> None:
        """first: a descriptor, which this object closes."""
        self._kept = [first]
        self._deep = -1
        self._identities = [identity_of(first)]

    @property
    def current(self) -> int:
        """The descriptor of the current directory, valid until the next call."""
        return self._kept[-1] if self._deep < 0 else self._deep

    @property
    def identity(self) -> Identity:
        """The device and inode of the current directory."""
        return self._identities[-1]

    def enter(self, name: str) -> None:
        """Go down into a directory. Raises OSError, and is where it was."""
        entered = os.open(name, OPEN_DIRECTORY, dir_fd=self.current)
        self._identities.append(identity_of(entered))
        if self._deep < 0 and len(self._kept) < KEPT_OPEN:
            self._kept.append(entered)
            return
        if self._deep >= 0:
            os.close(self._deep)
        self._deep = entered

    def leave(self) -> None:
        """Go up. Raises TreeChanged if the current directory was moved elsewhere or has no way up; the way ends
        there."""
        self._identities.pop()
        if self._deep < 0:
            os.close(self._kept.pop())
            return
        left, self._deep = self._deep, -1
        try:
            if len(self._identities) > len(self._kept):
                self._deep = _above(left)
                if identity_of(self._deep) != self.identity:
                    raise TreeChanged("a directory was moved while the tree was read")
        finally:
            os.close(left)

    def close(self) -> None:
        for descriptor in (*self._kept, *([self._deep] if self._deep >= 0 else [])):
            os.close(descriptor)
        self._kept, self._deep = [], -1


def _above(directory: int) -> int:
    try:
        return os.open("..", OPEN_DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno in OWN_LIMITS:
            raise
        raise TreeChanged(f"a directory has no way up: {error.strerror}") from error


@contextlib.contextmanager
def descent_from(first: int) -> Iterator[Descent]:
    """A descent that is closed at the end. first: as in Descent."""
    way = Descent(first)
    try:
        yield way
    finally:
        way.close()


def identity_of(descriptor: int) -> Identity:
    """The device and inode of an open file."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def shown_name(name: str) -> str:
    """A file's name for messages: short and printable."""
    return ascii(name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}...")
