"""Giving a container its root: the machine's own programs, or an image's files with a layer of its own over them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import Mount
from danube_pkg.adapters.runtimes.sandbox.host_image import RootFileSystem
from danube_pkg.adapters.runtimes.sandbox.image_root import Overlay, copy_image, image_root, overlay_of
from danube_pkg.adapters.runtimes.sandbox.inside import ask_inside
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, PodRecord
from danube_pkg.adapters.runtimes.sandbox.root_places import WORKSPACE, RootPlaces, prepare_places
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.images.ports import Images
from danube_pkg.core.images.reference import Image, ImageUnavailable
from danube_pkg.core.images.users import ImageUser, find_user
from danube_pkg.kit.records import Record

HOLD_TRIES = 3
"""An image that is removed between its being found and its being used is pulled again; three times in a row is no accident."""

_log = logging.getLogger("danube.sandbox")


class ContainerRoot(Record):
    """files: what bubblewrap puts together. overlay: what is mounted before. user: ids for `danube-step`, "" to stay."""

    files: RootFileSystem
    overlay: Overlay | None = None
    user: str = ""
    working_directory: str = WORKSPACE


class HeldImage(Record):
    """An image that stays as long as the pod does, and where it lies."""

    image: Image
    root: Path


class ContainerRoots:
    """images: None where only the machine's own programs are to be had. program: danube-ns. within: words before a command that
    has the rights of all owners in a pod, where the server has not."""

    def __init__(self, images: Images | None, program: Path, within: Sequence[str] = ()) -> None:
        self._images = images
        self._program = program
        self._within = within
        self.complaint: str | None = None
        """What this machine has against overlays, "" for nothing; None while it was not tried."""

    def _known_images(self) -> Images:
        if self._images is None:
            raise ImageUnavailable("only the machine's own programs are to be had here", hint='use image="host"')
        return self._images

    async def hold(self, name: str, pod: Path, tell: Callable[[str], None]) -> HeldImage:
        """The image for a pod, pulled if need be. Raises ImageUnavailable, Unavailable."""
        images = self._known_images()
        for _ in range(HOLD_TRIES):
            image = await images.ensure(name, tell)
            root = images.hold(image, pod)
            if root is not None:
                return HeldImage(image, root)
        raise Unavailable("image-removed", f"image {name} is removed again and again while it is wanted")

    async def make(
        self,
        held: HeldImage,
        pod: PodDirectory,
        record: PodRecord,
        number: int,
        mounts: Sequence[Mount],
        tell: Callable[[str], None],
    ) -> ContainerRoot:
        """Directories, user and environment of a container of that image, in which these mounts have their places."""
        image, owner, directory = held.image, record.user_base, pod.container(number)
        user = self._user(image)
        files = image_root(image, user, host_network=record.host_network)
        overlay = overlay_of(directory, held.root, owner)
        why_not = await self.why_no_overlay(overlay, record)
        if why_not:
            tell(f"each container gets a copy of its image, since this machine has no overlays for it: {why_not}")
            pod.write_copied(number, await self._copy(record, held.root, overlay.target))
        bound = [*mounts, *(Mount(source, place) for source, place in files.binds)]
        start = start_of(image)
        starts = await self._prepare(
            record,
            target=overlay.target if why_not else overlay.upper,
            lower=None if why_not else held.root,
            directories=["/proc", "/dev", *(mount.place for mount in bound if mount.source.is_dir())],
            files=[*(path for path, _ in files.files), *(mount.place for mount in bound if not mount.source.is_dir())],
            start=start,
        )
        if start.startswith(("/proc", "/dev")) or not starts:
            raise ImageUnavailable(
                f"image {image.name} starts in {start}",
                cause="no such directory can be had in it",
                hint="give it another WORKDIR",
            )
        return ContainerRoot(
            files=files,
            overlay=None if why_not else overlay,
            user=str(user) if record.full_ids and user.user else "",
            working_directory=start,
        )

    async def _copy(self, record: PodRecord, lower: Path, target: Path) -> int:
        """Its size in bytes."""
        if record.has_lent_ids:
            request = {"verb": "copy", "lower": str(lower), "target": str(target)}
            return int((await ask_inside(self._within, request))["bytes"])
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
        """Make what must be there before the container is; whether programs can start in `start`. In most images all that is
        concerned is root's, who is whom the server runs as where ids are lent: a process for it takes a tenth of a second."""
        try:
            places = RootPlaces(target, lower, record.user_base or None, only_own=record.has_lent_ids)
            prepare_places(places, directories, files)
            return places.start_directory(start)
        except PermissionError:
            if not record.has_lent_ids:
                raise
        request = {"verb": "prepare", "target": str(target), "lower": str(lower) if lower is not None else None}
        more = {"directories": directories, "files": files, "start": start}
        return bool((await ask_inside(self._within, {**request, **more}))["starts"])

    def _user(self, image: Image) -> ImageUser:
        images = self._known_images()
        passwd, group = (
            images.read_file(image, f"etc/{name}").decode(errors="replace") for name in ("passwd", "group")
        )
        return find_user(image, passwd, group)

    async def why_no_overlay(self, overlay: Overlay, record: PodRecord) -> str:
        """What this machine has against overlays, tried once; "" when they work."""
        if self.complaint is None:
            kind = "shifted" if record.user_base else "plain"
            process = await asyncio.create_subprocess_exec(
                str(self._program), "overlay", str(record.holder.pid), kind, *overlay.words(),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={},
                cwd="/",
            )  # fmt: skip
            _, said = await process.communicate()
            self.complaint = said.decode(errors="replace").strip() or "no reason given" if process.returncode else ""
            _log.info("overlays", extra={"fields": {"kind": kind, "problem": self.complaint}})
        return self.complaint


def start_of(image: Image) -> str:
    """Where the programs of a container start. What the image has below the workspace is hidden by the job's own."""
    directory = image.config.working_directory or "/"
    return WORKSPACE if directory.startswith(f"{WORKSPACE}/") else directory
