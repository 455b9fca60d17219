"""Removes directory trees that untrusted code made, whatever depth, names, modes and owners they have.

What can be removed is removed, also when a part of the tree cannot. `python -m danube_pkg.kit.trees DIRECTORY` does it
in a separate process.
"""

import itertools
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.kit.descent import Descent, TreeChanged, descent_from, shown_name

BATCH = 1000
"""Names of one directory that are in memory at a time; it may have millions."""

IDLE_SWEEPS = 100
"""Sweeps of one directory that remove nothing, until it is given up: another process changes it all the time."""

TRIES = 3
"""A tree whose directories are moved meanwhile is removed from the top again; nothing should change it, so rarely."""

_MAX_CAUSE = 500


def remove_tree(top: Path, within: Sequence[str] = ()) -> None:
    """Remove a directory and everything below it, a file or a link; links are not followed. Raises OSError.

    What does not exist is removed already.

    Directories that their owner may not change get permissions first. within: a command prefix that runs a command with
    the permissions that this process lacks; tried after a PermissionError.
    """
    parent = os.open(top.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_entry(top.name, parent)
    except PermissionError:
        if not within:
            raise
        _remove_within(top, within)
    finally:
        os.close(parent)


def remove_entry(name: str, parent: int) -> None:
    """The same for a directory in an open one, which stays open. Raises OSError."""
    for left in reversed(range(TRIES)):
        try:
            _Removal(name).run(parent)
        except TreeChanged:
            if not left:
                raise
        else:
            return


def _remove_within(top: Path, within: Sequence[str]) -> None:
    home = str(Path(__file__).absolute().parents[2])
    words = [*within, sys.executable, "-P", "-m", "danube_pkg.kit.trees", str(top)]
    done = subprocess.run(words, env={"PYTHONPATH": home}, cwd="/", capture_output=True, check=False)
    if done.returncode != 0:
        printed = done.stderr.decode(errors="replace").strip()
        raise PermissionError(printed[-_MAX_CAUSE:] or f"{words[0]} ended with {done.returncode}")


class _Directory:
    """A directory on the way. ahead: names of directories to remove next. kept: names that could not be removed."""

    __slots__ = ("ahead", "idle", "kept", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ahead: list[str] = []
        self.kept: set[str] = set()
        self.idle = 0


class _Removal:
    """Removes one tree, from its leaves to its top."""

    def __init__(self, name: str) -> None:
        self._top = name
        self._first: OSError | None = None
        self._count = 0

    def run(self, parent: int) -> None:
        """Raises the first error, but a PermissionError before others, when everything else is removed.

        A file or a link in the place of the tree is removed as itself.
        """
        try:
            if not stat.S_ISDIR(os.lstat(self._top, dir_fd=parent).st_mode):
                os.unlink(self._top, dir_fd=parent)
                return
        except FileNotFoundError:
            return
        above = _Directory("")
        with descent_from(os.dup(parent)) as way:
            way_down = [above]
            above.ahead.append(self._top)
            while above.ahead or len(way_down) > 1:
                self._advance(way, way_down)
        if self._first is not None:
            raise OSError(self._first.errno, f"{self._first.strerror} ({self._count} entries remain)")

    def _advance(self, way: Descent, way_down: list[_Directory]) -> None:
        current = way_down[-1]
        if current.ahead:
            name = current.ahead.pop()
            if self._enter(way, current, name):
                way_down.append(_Directory(name))
        elif not self._sweep(way.current, current):
            way_down.pop()
            way.leave()
            try:
                os.rmdir(current.name, dir_fd=way.current)
                way_down[-1].idle = 0
            except OSError as error:
                self._note(way_down[-1], current.name, error)

    def _enter(self, way: Descent, current: _Directory, name: str) -> bool:
        """Whether it is a directory that can be read and changed from now on."""
        try:
            try:
                way.enter(name)
            except PermissionError:
                _allow(name, way.current)
                way.enter(name)
            if os.fstat(way.current).st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.fchmod(way.current, stat.S_IRWXU)
        except OSError as error:
            self._note(current, name, error)
            return False
        return True

    def _sweep(self, directory: int, current: _Directory) -> bool:
        """Remove a batch of files and find the directories among them. False when nothing is left to try."""
        current.idle += 1
        if current.idle > IDLE_SWEEPS:
            return False
        try:
            with os.scandir(directory) as entries:
                left = (one for one in entries if one.name not in current.kept)
                batch = [(one.name, one.is_dir(follow_symlinks=False)) for one in itertools.islice(left, BATCH)]
        except OSError as error:
            self._fail(error)
            return False
        for name, is_directory in batch:
            if is_directory:
                current.ahead.append(name)
                continue
            try:
                os.unlink(name, dir_fd=directory)
                current.idle = 0
            except OSError as error:
                self._note(current, name, error)
        return bool(batch)

    def _note(self, current: _Directory, name: str, error: OSError) -> None:
        """Remember an entry that stays. One that has vanished, or is another kind of file by now, is left to the next
        sweep."""
        if not isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
            current.kept.add(name)
            self._fail(OSError(error.errno, f"{error.strerror}: {shown_name(name)}"))

    def _fail(self, error: OSError) -> None:
        self._count += 1
        if self._first is None or (isinstance(error, PermissionError) and not isinstance(self._first, PermissionError)):
            self._first = error


def _allow(name: str, parent: int) -> None:
    """Give the owner of a directory all permissions. By its descriptor, so that a link is not followed."""
    found = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{found}", stat.S_IRWXU)
    finally:
        os.close(found)


if __name__ == "__main__":
    remove_tree(Path(sys.argv[1]))
