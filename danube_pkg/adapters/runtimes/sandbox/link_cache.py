"""Where the links of `/usr` lead, kept between processes: reading 17,000 directories takes half a second, and asking
whether each is as it was a sixth of that.

The file has each directory with its device, inode and time of change (`st_ctime`, which no program can set). To add,
remove or replace an entry changes the directory's; a link's target cannot change otherwise; and a file system that was
mounted over a directory has another device. So the file is used only if a new reading would find the same. It only
names targets: what of them is shown is decided anew each time (`host_links.py`).
"""

import contextlib
import json
import os
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.records import Record

FORMAT = 1
"""Another one is read anew."""

SETTLED_NS = 2_000_000_000
"""A directory that changed so shortly before the reading may change again within the same tick of the kernel's clock;
then nothing is kept. File systems have ticks of up to two seconds."""

MAX_BYTES = 64 * 1024**2
"""A file that is larger was not written by Danube: each directory takes about a hundred bytes."""

_NAME = "links-of-usr.json"

DirectoryMark = tuple[str, int, int, int]
"""(path, device, inode, time of change in nanoseconds)."""


class LinkTree(Record):
    """The absolute paths to which the links of a tree lead, and each directory as it was before it was read."""

    targets: tuple[str, ...]
    directories: tuple[DirectoryMark, ...]


def machine_file() -> Path | None:
    """Where this user keeps it, until the machine restarts; None where there is no such directory."""
    user = os.geteuid()
    own = Path("/run") if user == 0 else Path(f"/run/user/{user}")
    return own / "danube" / _NAME if own.is_dir() and own.stat().st_uid == user else None


def links_of(root: Path, directory: str, file: Path | None) -> Collection[str]:
    """Where the links of a tree lead. root: `/`, or a directory that stands for it. file: None to read the tree."""
    top = str(root).rstrip("/")
    kept = _read(file) if file is not None else None
    if kept is not None and all(_mark(top, one[0]) == one for one in kept.directories):
        return kept.targets
    began = time.time_ns()
    found = read_links(root, directory)
    if file is not None and all(one[3] < began - SETTLED_NS for one in found.directories):
        _write(file, found)
    return found.targets


def read_links(root: Path, directory: str) -> LinkTree:
    """Reads a tree; a directory that this user cannot read has no links. root: as in `links_of`."""
    top = str(root).rstrip("/")
    targets: list[str] = []
    directories: list[DirectoryMark] = []
    pending = [directory]
    while pending:
        here = pending.pop()
        if (mark := _mark(top, here)) is None:
            continue
        directories.append(mark)
        for kind, value in _entries(top, here):
            (targets if kind == stat.S_IFLNK else pending).append(value)
    return LinkTree(tuple(targets), tuple(directories))


def _entries(top: str, here: str) -> Iterator[tuple[int, str]]:
    """(S_IFLNK, where it leads) for each link, (S_IFDIR, its path) for each directory."""
    with contextlib.suppress(PermissionError, FileNotFoundError), os.scandir(top + here) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield stat.S_IFLNK, os.path.normpath(os.path.join(here, os.readlink(entry.path)))
            elif entry.is_dir(follow_symlinks=False):
                yield stat.S_IFDIR, f"{here}/{entry.name}"


def _mark(top: str, path: str) -> DirectoryMark | None:
    """None for a directory that vanished or cannot be reached."""
    try:
        found = os.lstat(top + path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return path, found.st_dev, found.st_ino, found.st_ctime_ns


def _read(file: Path) -> LinkTree | None:
    """None where there is none, or one that another user could have written, or that is damaged."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(opened.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & 0o022 or found.st_size > MAX_BYTES:
            return None
        try:
            data = json.loads(opened.read())
            if data["format"] != FORMAT:
                return None
            marks = tuple((str(path), int(dev), int(ino), int(at)) for path, dev, ino, at in data["directories"])
            return LinkTree(tuple(map(str, data["targets"])), marks)
        except (ValueError, LookupError, TypeError):
            return None


def _write(file: Path, tree: LinkTree) -> None:
    """Nothing where that is not possible: it only saves time."""
    data = {"format": FORMAT, "targets": tree.targets, "directories": tree.directories}
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(file, json.dumps(data).encode(), survives_power_failure=False)
