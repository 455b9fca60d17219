"""Where things are mounted in a container's root: real directories and files, made before bubblewrap comes.

A link in the image that stands where a mount goes would lead bubblewrap elsewhere, so it is hidden by a directory here.
"""

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

WORKSPACE = "/workspace"

MAX_LINKS = 40
"""On one way; the kernel's own bound."""


class RootPlaces:
    """target: the layer over the image, or the copy of it. lower: the image, None with a copy. owner: root of the pod as this
    process counts; None where what is made is whom the server runs as. only_own: something that must have another owner raises
    PermissionError, before anything is made that would have the wrong one."""

    def __init__(self, target: Path, lower: Path | None, owner: int | None, *, only_own: bool = False) -> None:
        self._target = target
        self._lower = lower
        self._owner = owner
        self._only_own = only_own
        self._hidden: set[str] = set()

    def top(self) -> None:
        """The root itself looks like the image's."""
        if self._lower is not None:
            below = self._lower.lstat()
            self._check_owner("/", below)
            self._take_over(self._target, below)

    def directory(self, place: str, mode: int = 0o755) -> None:
        """A real directory at an absolute place, with all above it."""
        if place == "/":
            return
        above, _, _ = place.rpartition("/")
        self.directory(above or "/")
        path, below = self._target / place[1:], self._below(place)
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            path.unlink()
        if path.is_dir():
            return
        if below is not None and stat.S_ISDIR(below.st_mode):
            self._check_owner(place, below)
            path.mkdir()
            self._take_over(path, below)
            return
        path.mkdir()
        self._hidden.add(place)
        path.chmod(mode)
        self._own(path)

    def file(self, place: str) -> None:
        """A regular file at an absolute place."""
        self.directory(place.rpartition("/")[0] or "/")
        path, below = self._target / place[1:], self._below(place)
        if path.is_file() and not path.is_symlink():
            return
        if path.is_symlink() or path.exists():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if below is None or not stat.S_ISREG(below.st_mode):
            path.touch(mode=0o644)
            self._own(path)

    def start_directory(self, place: str) -> bool:
        """Where programs are to start: made where the image has nothing there. False where its own links lead nowhere."""
        at, ahead, links = "", [*reversed(_parts(place))], 0
        while ahead:
            name = ahead.pop()
            if name == "..":
                at = at.rpartition("/")[0]
                continue
            seen = self._seen(f"{at}/{name}")
            if seen is None:
                if not links:
                    self.directory(place)
                return not links
            if stat.S_ISLNK(seen.st_mode):
                links += 1
                if links > MAX_LINKS:
                    return False
                link = self._link(f"{at}/{name}")
                at, ahead = "" if link.startswith("/") else at, [*ahead, *reversed(_parts(link))]
            elif stat.S_ISDIR(seen.st_mode):
                at = f"{at}/{name}"
            else:
                return False
        return True

    def _link(self, place: str) -> str:
        path = self._target / place[1:]
        return os.readlink(path if path.is_symlink() or self._lower is None else self._lower / place[1:])

    def _seen(self, place: str) -> os.stat_result | None:
        try:
            return (self._target / place[1:]).lstat()
        except FileNotFoundError:
            return self._below(place)

    def has(self, place: str) -> bool:
        """Whether the image itself has something at a place of the top."""
        path = (self._lower or self._target) / place[1:]
        return path.is_symlink() or path.exists()

    def _below(self, place: str) -> os.stat_result | None:
        """What the image has there, if it is seen; only asked below real directories, so that no link is followed."""
        if self._lower is None or any(place.startswith(f"{hidden}/") for hidden in self._hidden):
            return None
        try:
            return (self._lower / place[1:]).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _check_owner(self, place: str, below: os.stat_result) -> None:
        if self._only_own and (below.st_uid, below.st_gid) != (os.geteuid(), os.getegid()):
            raise PermissionError(f"{place} has another owner")

    def _take_over(self, path: Path, below: os.stat_result) -> None:
        if self._owner is not None:
            os.chown(path, self._owner + below.st_uid, self._owner + below.st_gid)
        path.chmod(stat.S_IMODE(below.st_mode))
        os.utime(path, ns=(below.st_atime_ns, below.st_mtime_ns))

    def _own(self, path: Path) -> None:
        if self._owner is not None:
            os.chown(path, self._owner, self._owner)


def prepare_places(places: RootPlaces, directories: Sequence[str], files: Sequence[str]) -> None:
    """Everything that must be there before the container is: where things are mounted, and /tmp."""
    places.top()
    for place in directories:
        places.directory(place)
    for place in files:
        places.file(place)
    if not places.has("/tmp"):
        places.directory("/tmp", 0o1777)


def _parts(place: str) -> Sequence[str]:
    return [name for name in place.split("/") if name not in ("", ".")]
