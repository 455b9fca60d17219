"""A file system for each pod, where the server is root: the kernel then limits the pod's bytes and files.

Its image, `disks/<pod_id>.ext4`, is mounted over `pods/<pod_id>` through a loop device that the kernel releases with
the last mount. The image then loses its name, so that no copy of the data directory has it and no crash leaves it. It
takes all of its space from the start, because a program would not notice that the disk below it is full: the kernel
accepts what it writes and loses it. Where that space is missing, or anything else, the pod has a plain directory and is
measured (`workspace_sizes.py`).
"""

import contextlib
import logging
import os
import platform
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.disk_commands import (
    DiskRefused,
    check_installed,
    run_blocking,
    run_command,
)
from danube_pkg.adapters.runtimes.sandbox.disk_images import DiskImages, ImageSize
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.core.runtimes.pods import Limits

MARGIN_BYTES = 1 << 20
"""A pod that is so near to its bound is at it: what it writes next is larger than that."""

LEAST_KERNEL = (5, 19)
"""Since then all pods share an image by overlays. Before, each container has a copy, which must not take the pod's
space."""

TRIED_BYTES = 16 << 20

_MOUNT = ("mount", "-t", "ext4", "-o", "nodev,nosuid,noatime,noinit_itable,nobarrier")
"""noinit_itable: the kernel would write all tables of inodes in the background. nobarrier: `fsync` in a pod, mount and
umount do not wait until the machine's disk has written what all others wrote; a pod does not survive the machine."""

_log = logging.getLogger("danube.sandbox")


class PodDisks:
    """The file systems of a data directory's pods."""

    def __init__(self, data: Path) -> None:
        self._directory = data / "disks"
        self._pods = data / "pods"
        self._images = DiskImages(self._directory)

    def _image(self, pod_id: str) -> Path:
        return self._directory / f"{pod_id}.ext4"

    async def make(self, pod_id: str, limits: Limits) -> str:
        """Mount a new file system over a pod's directory, which exists. Why that was not possible, "" if it was.

        Called again after an interruption, it makes a new one unless one is mounted already.
        """
        top = self._pods / pod_id
        if not limits.workspace_bytes or os.path.ismount(top):
            return ""
        try:
            _check_machine()
            await self._mount_new(self._image(pod_id), top, image_bytes(limits), limits.workspace_inodes)
        except (DiskRefused, OSError) as error:
            self._image(pod_id).unlink(missing_ok=True)
            return str(error)
        return ""

    async def problem(self) -> str:
        """Why pods cannot have file systems of their own here, tried with a small one; "" if they can."""
        top = self._directory / f"try-{secrets.token_hex(4)}"
        image = top.with_suffix(".try")
        try:
            _check_machine()
            top.mkdir(parents=True)
            await self._mount_new(image, top, TRIED_BYTES, 1000)
            await run_command("umount", str(top))
        except (DiskRefused, OSError) as error:
            return str(error)
        finally:
            image.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other pods' images are in it
                top.rmdir()
                self._directory.rmdir()
        return ""

    async def _mount_new(self, image: Path, top: Path, size_bytes: int, inodes: int) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        image.unlink(missing_ok=True)
        await self._images.make(image, ImageSize(size_bytes, inodes))
        await run_command(*_MOUNT, "-o", "loop", str(image), str(top))
        image.unlink()
        top.chmod(0o700)
        with contextlib.suppress(OSError):
            (top / "lost+found").rmdir()

    async def remove(self, pod_id: str) -> None:
        """Unmount a pod's file system, whose processes have ended; its files are gone at once. Raises DiskRefused."""
        top = self._pods / pod_id
        while os.path.ismount(top):  # twice if two servers mounted it
            try:
                await run_command("umount", str(top))
            except DiskRefused:  # a process of the machine, such as an operator's shell, is in it
                await run_command("umount", "--lazy", str(top))
        self._image(pod_id).unlink(missing_ok=True)

    def restore(self) -> None:
        """Mount what running pods use, where this server has another view of mounts than the one before it: systemd can
        give a service its own. Removes images of interrupted creations. Blocks; to be called before anything reads a
        pod."""
        if not self._directory.is_dir():
            return
        for image in self._directory.glob("*.ext4"):
            image.unlink()
        devices = _loop_devices()
        for top in sorted(self._pods.iterdir()):
            device = devices.get(f"{self._image(top.name).resolve()} (deleted)")
            if device is not None and not os.path.ismount(top):
                try:
                    run_blocking(*_MOUNT, device, str(top))
                except DiskRefused as error:
                    fields = {"pod": top.name, "cause": str(error)}
                    _log.error("pod-disk-not-mounted", extra={"fields": fields})

    def excess(self, top: Path, limits: Limits) -> str | None:
        """Why a pod's file system is full, "" while it is not; None for a pod that has none."""
        if not os.path.ismount(top):
            return None
        found = os.statvfs(top)
        used, limit = (found.f_blocks - found.f_bfree) * found.f_frsize, limits.workspace_bytes
        if used >= limit - MARGIN_BYTES or found.f_bavail * found.f_frsize <= MARGIN_BYTES:
            return f"its workspace holds {used >> 20} MB, the limit is {limit >> 20} MB"
        if found.f_ffree == 0:
            return f"its workspace has {found.f_files} files and directories, the limit is {limits.workspace_inodes}"
        return ""


def image_bytes(limits: Limits) -> int:
    """The size of an image in which programs of a pod can use all of their limit: a sixteenth for the tables of inodes,
    one per cent for the server, and some megabytes for other tables."""
    return limits.workspace_bytes + limits.workspace_bytes * 9 // 100 + (8 << 20)


def _check_machine() -> None:
    numbers = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    if not has_ids_for_pods():
        raise DiskRefused("only root can give each pod a file system")
    if numbers < LEAST_KERNEL:
        raise DiskRefused(f"Linux {platform.release()} is older than {'.'.join(map(str, LEAST_KERNEL))}")
    check_installed("mkfs.ext4", "mount", "umount")


def _loop_devices() -> Mapping[str, str]:
    """The loop devices of this machine by the file of each, as the kernel names it."""
    found = {}
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it was released meanwhile
            found[backing.read_text().rstrip("\n")] = f"/dev/{backing.parts[3]}"
    return found
