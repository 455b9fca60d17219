"""Images of empty ext4 file systems, which have all of their blocks from the start.

mkfs runs once for each size, on a sparse file; every image gets the blocks that it wrote there. Those are few, 27 for
5 GB, since mkfs leaves the tables of inodes to the kernel. So all images of a size have the same UUID, which nothing
here reads: ext4 mounts any number of them at the same time.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.disk_commands import DiskRefused, run_command
from danube_pkg.core.health.subsystems import LOW_DISK_BYTES, LOW_DISK_SHARE
from danube_pkg.kit.full_disk import is_full
from danube_pkg.kit.records import Record

MAX_TEMPLATES = 16
"""Sizes whose blocks are kept; pipelines name a few. The blocks of 5 GB are 110 KB, those of 500 GB 6 MB."""

_BLOCK = 4096

_MKFS = (
    "mkfs.ext4", "-q", "-F", "-b", str(_BLOCK), "-m", "1",
    "-O", "^has_journal,^resize_inode", "-E", "nodiscard,lazy_itable_init=1",
)  # fmt: skip
"""Without a journal, since a pod does not survive the machine. One per cent is for root: the server can still write its
records of a pod whose disk is full. lazy_itable_init: tables of inodes are left as they are, zero."""


class ImageSize(Record):
    """How large an image is, and how many files and directories its file system can have."""

    size_bytes: int
    inodes: int


Template = Sequence[tuple[int, bytes]]
"""The blocks of an image that are not zero, each with its offset."""


class DiskImages:
    """Makes images in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._templates: dict[ImageSize, Template] = {}
        self._lock = asyncio.Lock()

    async def make(self, image: Path, size: ImageSize) -> None:
        """A new image with an empty file system. Raises DiskRefused, also where the server would be short of space
        afterwards."""
        template = await self._template(size)
        await asyncio.to_thread(_write_image, image, size.size_bytes, template)

    async def _template(self, size: ImageSize) -> Template:
        async with self._lock:  # pods of a size that start together need one
            found = self._templates.pop(size, None) or await self._format(size)
            self._templates[size] = found  # the last one is the newest
            if len(self._templates) > MAX_TEMPLATES:
                del self._templates[next(iter(self._templates))]
            return found

    async def _format(self, size: ImageSize) -> Template:
        with tempfile.NamedTemporaryFile(dir=self._directory, suffix=".ext4") as sparse:
            sparse.truncate(size.size_bytes)
            await run_command(*_MKFS, "-N", str(size.inodes), sparse.name)
            return await asyncio.to_thread(_written_blocks, sparse.fileno())


def _written_blocks(descriptor: int) -> Template:
    """What a sparse file contains. lseek(2): SEEK_DATA finds where it has blocks."""
    found, at, end = [], 0, os.fstat(descriptor).st_size
    while at < end:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            break
        at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        blocks = ((offset, os.pread(descriptor, _BLOCK, offset)) for offset in range(begin, at, _BLOCK))
        found += [(offset, block) for offset, block in blocks if block.strip(b"\0")]
    return found


def _write_image(image: Path, size_bytes: int, template: Template) -> None:
    disk = os.statvfs(image.parent)
    left = disk.f_bavail * disk.f_frsize - size_bytes
    if left < LOW_DISK_BYTES or left < LOW_DISK_SHARE * disk.f_blocks * disk.f_frsize:
        raise DiskRefused(f"the disk has no room to reserve {size_bytes >> 20} MB")
    descriptor = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        for offset, block in template:
            os.pwrite(descriptor, block, offset)
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskRefused(f"the disk has no room to reserve {size_bytes >> 20} MB") from error
    finally:
        os.close(descriptor)
