"""Builds the root of a container that has an image: the image's files with a layer of the container's own over them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import Mount
from danube_pkg.adapters.runtimes.sandbox.host_image import RootFileSystem
from danube_pkg.adapters.runtimes.sandbox.image_copy import copy_image
from danube_pkg.adapters.runtimes.sandbox.image_root import Overlay, image_root, overlay_of
from danube_pkg.adapters.runtimes.sandbox.mount_points import WORKSPACE, MountPoints, make_mount_points
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, PodRecord
from danube_pkg.adapters.runtimes.sandbox.user_namespace import run_in_user_namespace
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.images.ports import ImageRequester, Images
from danube_pkg.core.images.reference import Image, ImageUnavailable
from danube_pkg.core.images.users import ImageUser, find_user
from danube_pkg.kit.processes import child_process
from danube_pkg.kit.records import Record

HOLD_TRIES = 3
"""An image that is removed between pull and use is pulled again; three times in a row is an error."""

_log = logging.getLogger("danube.sandbox")


class ContainerRoot(Record):
    """files: what bubblewrap mounts. overlay: mounted before that. user, groups: whose the programs are; the first
    group is the primary one."""

    files: RootFileSystem
    overlay: Overlay | None = None
    user: int = 0
    groups: tuple[int, ...] = (0,)
    working_directory: str = WORKSPACE

    def program_user(self, record: PodRecord) -> str:
        """The ids that `danube-step` changes to, "" for none: as root it keeps the rights that it has."""
        if not record.full_ids or not self.user:
            return ""
        groups = (*self.groups, record.tree_owner) if record.shares_by_group else self.groups
        return f"{self.user}:{','.join(map(str, dict.fromkeys(groups)))}"


class HeldImage(Record):
    """An image that is kept for as long as the pod exists, and where its files are."""

    image: Image
    root: Path


class ContainerRoots:
    """program: danube-ns. userns_command: as in SandboxPods."""

    def __init__(self, images: Images, program: Path, userns_command: Sequence[str] = ()) -> None:
        self._images = images
        self._program = program
        self._userns_command = userns_command
        self.known_overlay_problem: str | None = None
        """Why this machine cannot use overlays, "" where it can; None until that was tried."""

    async def hold(self, name: str, pod: Path, record: PodRecord, notify: Callable[[str], None]) -> HeldImage:
        """The image for a pod, pulled if need be. pod: the pod's directory. Raises ImageUnavailable, Unavailable."""
        requester = ImageRequester(record.job_id, record.network, record.allowlist)
        for _ in range(HOLD_TRIES):
            image = await self._images.ensure(name, notify, requester)
            root = self._images.hold(image, pod)
            if root is not None:
                return HeldImage(image, root)
        raise Unavailable("image-removed", f"image {name} was removed {HOLD_TRIES} times between pull and use")

    async def make(
        self,
        held: HeldImage,
        pod: PodDirectory,
        record: PodRecord,
        number: int,
        mounts: Sequence[Mount],
        notify: Callable[[str], None],
    ) -> ContainerRoot:
        """Directories, user and environment of a container of that image, with mount points for these mounts."""
        image, owner, directory = held.image, record.user_base, pod.container(number)
        user = self._user(image)
        own_tree = record.mapped_owners or not record.full_ids or user.user == record.tree_owner
        files = image_root(image, user, host_network=record.host_network, own_tree=own_tree)
        overlay = overlay_of(directory, held.root, owner)
        problem = await self.overlay_problem(overlay, record)
        if problem:
            notify(f"each container gets a copy of its image, since overlays do not work on this machine: {problem}")
            pod.write_copied(number, await self._copy(record, held.root, overlay.target))
        bound = [*mounts, *(Mount(source, target) for source, target in files.binds)]
        start = start_of(image)
        starts = await self._prepare(
            record,
            target=overlay.target if problem else overlay.upper,
            lower=None if problem else held.root,
            directories=["/proc", "/dev", *(mount.target for mount in bound if mount.source.is_dir())],
            files=[*(path for path, _ in files.files), *(mount.target for mount in bound if not mount.source.is_dir())],
            start=start,
        )
        if start.startswith(("/proc", "/dev")) or not starts:
            raise ImageUnavailable(
                f"image {image.name} starts in {start}",
                cause="this cannot be a directory in its containers",
                hint="give it another WORKDIR",
            )
        return ContainerRoot(
            files=files,
            overlay=None if problem else overlay,
            user=user.user,
            groups=user.groups,
            working_directory=start,
        )

    async def _copy(self, record: PodRecord, lower: Path, target: Path) -> int:
        """Copies the image; its size in bytes."""
        if record.has_subordinate_ids:
            request = {"verb": "copy", "lower": str(lower), "target": str(target)}
            return int((await run_in_user_namespace(self._userns_command, request))["bytes"])
        return await asyncio.to_thread(copy_image, lower, target, record.user_base or None)

    async def _prepare(
        self,
        record: PodRecord,
        *,
        target: Path,
        lower: Path | None,
        directories: Sequence[str],
        files: Sequence[str],
        start: str,
    ) -> bool:
        """Make the mount points; whether programs can start in `start`.

        With subordinate ids root of the pod is the server's user, who owns all that is concerned in most images: the
        process with the rights of other owners, which takes a tenth of a second, is started only where it is needed.
        """
        try:
            mount_points = MountPoints(target, lower, record.user_base or None, only_own=record.has_subordinate_ids)
            make_mount_points(mount_points, directories, files)
            return mount_points.start_directory(start)
        except PermissionError:
            if not record.has_subordinate_ids:
                raise
        request = {"verb": "prepare", "target": str(target), "lower": str(lower) if lower is not None else None}
        more = {"directories": directories, "files": files, "start": start}
        return bool((await run_in_user_namespace(self._userns_command, {**request, **more}))["starts"])

    def _user(self, image: Image) -> ImageUser:
        passwd, group = (
            self._images.read_file(image, f"etc/{name}").decode(errors="replace") for name in ("passwd", "group")
        )
        return find_user(image, passwd, group)

    async def overlay_problem(self, overlay: Overlay, record: PodRecord) -> str:
        """Why this machine cannot use overlays, tried once; "" when it can."""
        if self.known_overlay_problem is None:
            kind = "shifted" if record.user_base else "plain"
            async with child_process(
                str(self._program), "overlay", str(record.holder.pid), kind, *overlay.arguments(),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={},
                cwd="/",
            ) as process:  # fmt: skip
                _, errors = await process.communicate()
            problem = errors.decode(errors="replace").strip() or "no reason given"
            self.known_overlay_problem = problem if process.returncode else ""
            _log.info("overlays", extra={"fields": {"kind": kind, "problem": self.known_overlay_problem}})
        return self.known_overlay_problem


def start_of(image: Image) -> str:
    """The directory in which a container's programs start. The pod's workspace hides what the image has below it."""
    directory = image.config.working_directory or "/"
    return WORKSPACE if directory.startswith(f"{WORKSPACE}/") else directory
