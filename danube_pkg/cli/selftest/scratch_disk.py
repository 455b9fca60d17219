"""A file system of the self-test's own, in a file, so that it can be filled without touching a disk of the machine.

The file is sparse, and space is taken in the file system by fallocate(2), which writes nothing: a full file system of
8 GiB takes some hundred MB of the machine's disk.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from danube_pkg.kit.records import Record

SIZE_BYTES = 8 * 1024**3
"""Room for the file systems of four pods, of 1 GiB each, and what a server wants to stay free."""

MARGIN_BYTES = 2 * 1024**3
"""What the machine's disk must have beside that, in case all of it is written."""

COMMAND_SECONDS = 60.0

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class DiskNotMade(Exception):
    """This machine does not let the self-test make a file system. The message says why."""


class ScratchDisk(Record):
    """A mounted file system. image: the file that it is in."""

    mount_point: Path
    image: Path

    @property
    def ballast(self) -> Path:
        """The file that fills it."""
        return self.mount_point / "ballast"

    @property
    def free_bytes(self) -> int:
        return shutil.disk_usage(self.mount_point).free

    def fill(self, left_bytes: int) -> None:
        """Take all space but `left_bytes`."""
        missing = self.free_bytes - left_bytes
        if missing <= 0:
            return
        with self.ballast.open("ab") as file, contextlib.suppress(OSError):  # jobs take space at the same time
            os.posix_fallocate(file.fileno(), file.tell(), missing)

    def empty(self) -> None:
        """Give the space back."""
        self.ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it and remove its file. Raises DiskNotMade while a process uses it."""
        self.empty()
        _run("umount", str(self.mount_point))
        self.mount_point.rmdir()
        self.image.unlink()


def make_disk(directory: Path) -> ScratchDisk:
    """Make and mount one below a directory. Raises DiskNotMade."""
    if os.geteuid() != 0:
        raise DiskNotMade("only root can mount a file system")
    free = shutil.disk_usage(directory).free
    if free < SIZE_BYTES + MARGIN_BYTES:
        needed = (SIZE_BYTES + MARGIN_BYTES) // 1024**3
        raise DiskNotMade(f"{directory} has {free // 1024**3} GiB free, and {needed} are needed")
    disk = ScratchDisk(directory / "disk", directory / "disk.ext4")
    disk.mount_point.mkdir()
    with disk.image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    try:
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(disk.image))
        _run("mount", "-o", "loop", str(disk.image), str(disk.mount_point))
    except DiskNotMade:
        disk.image.unlink()
        disk.mount_point.rmdir()
        raise
    return disk


def _run(*words: str) -> None:
    try:
        done = subprocess.run(
            words, env={"PATH": _PATH, "LC_ALL": "C"}, cwd="/", capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DiskNotMade(f"{words[0]}: {error}") from error
    if done.returncode:
        raise DiskNotMade(f"{words[0]}: {done.stderr.strip()[:200]}")
