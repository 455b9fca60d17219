"""Mount points in a container's root: real directories and files, created before bubblewrap mounts on them.

A symbolic link of the image at a mount point would lead bubblewrap elsewhere, so a directory of the layer hides it.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.kit.trees import remove_tree

WORKSPACE = "/workspace"

MAX_LINKS = 40
"""Symbolic links followed in one path; the kernel's own limit."""


class MountPoints:
    """Paths in one root. All paths are absolute as the container sees them.

    target: the layer over the image, or the copy of the image. lower: the image; None with a copy. owner: the user id
    of the pod's root as this process counts; None where what is created belongs to the server's user. only_own: what
    must have another owner raises PermissionError before anything with a wrong owner is created.
    """

    def __init__(self, target: Path, lower: Path | None, owner: int | None, *, only_own: bool = False) -> None:
        self._target = target
        self._lower = lower
        self._owner = owner
        self._only_own = only_own
        self._hidden: set[str] = set()

    def top(self) -> None:
        """Give the root directory the owner, mode and times that it has in the image."""
        if self._lower is not None:
            below = self._lower.lstat()
            self._check_owner("/", below)
            self._copy_attributes(self._target, below)

    def directory(self, path: str, mode: int = 0o755) -> None:
        """A real directory, with all directories above it. mode: for one that the image has not."""
        if path == "/":
            return
        above, _, _ = path.rpartition("/")
        self.directory(above or "/")
        own, below = self._target / path[1:], self._below(path)
        if own.is_symlink() or (own.exists() and not own.is_dir()):
            own.unlink()
        if own.is_dir():
            return
        if below is not None and stat.S_ISDIR(below.st_mode):
            self._check_owner(path, below)
            own.mkdir()
            self._copy_attributes(own, below)
            return
        own.mkdir()
        self._hidden.add(path)
        own.chmod(mode)
        self._set_owner(own)

    def file(self, path: str) -> None:
        """A regular file: the image's own where it has one, an empty one elsewhere."""
        self.directory(path.rpartition("/")[0] or "/")
        own, below = self._target / path[1:], self._below(path)
        if own.is_file() and not own.is_symlink():
            return
        if own.is_symlink() or own.exists():
            remove_tree(own)
        if below is None or not stat.S_ISREG(below.st_mode):
            own.touch(mode=0o644)
            self._set_owner(own)

    def start_directory(self, path: str) -> bool:
        """The directory in which programs start, created where the image has nothing there. False where the image has
        something else there, or links that lead nowhere."""
        at, ahead, links = "", [*reversed(_parts(path))], 0
        while ahead:
            name = ahead.pop()
            if name == "..":
                at = at.rpartition("/")[0]
                continue
            seen = self._visible(f"{at}/{name}")
            if seen is None:
                if not links:
                    self.directory(path)
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

    def _link(self, path: str) -> str:
        own = self._target / path[1:]
        return os.readlink(own if own.is_symlink() or self._lower is None else self._lower / path[1:])

    def _visible(self, path: str) -> os.stat_result | None:
        try:
            return (self._target / path[1:]).lstat()
        except FileNotFoundError:
            return self._below(path)

    def has(self, path: str) -> bool:
        """Whether the image itself has something at a path directly below the root."""
        own = (self._lower or self._target) / path[1:]
        return own.is_symlink() or own.exists()

    def _below(self, path: str) -> os.stat_result | None:
        """What the image has at that path, unless the layer hides it. Every directory above must be a real one, so
        that no link is followed."""
        if self._lower is None or any(path.startswith(f"{hidden}/") for hidden in self._hidden):
            return None
        try:
            return (self._lower / path[1:]).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _check_owner(self, path: str, below: os.stat_result) -> None:
        if self._only_own and (below.st_uid, below.st_gid) != (os.geteuid(), os.getegid()):
            raise PermissionError(f"{path} has another owner")

    def _copy_attributes(self, own: Path, below: os.stat_result) -> None:
        if self._owner is not None:
            os.chown(own, self._owner + below.st_uid, self._owner + below.st_gid)
        own.chmod(stat.S_IMODE(below.st_mode))
        os.utime(own, ns=(below.st_atime_ns, below.st_mtime_ns))

    def _set_owner(self, own: Path) -> None:
        if self._owner is not None:
            os.chown(own, self._owner, self._owner)


def make_mount_points(mount_points: MountPoints, directories: Sequence[str], files: Sequence[str]) -> None:
    """Everything that must exist before the container is created: mount points, and /tmp."""
    mount_points.top()
    for path in directories:
        mount_points.directory(path)
    for path in files:
        mount_points.file(path)
    if not mount_points.has("/tmp"):
        mount_points.directory("/tmp", 0o1777)


def _parts(path: str) -> Sequence[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
