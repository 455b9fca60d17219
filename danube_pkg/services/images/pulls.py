"""Images for jobs: pulled once for all that wait, and unpacked while later layers are still downloading.

A tag is resolved at its registry each time, so that a job gets the newest push. If the registry does not answer, the
cached copy is used and the job's log says so. A digest, and an image that was loaded from a file, need no registry.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from danube_pkg.core.errors import Conflict, NotFound, Unavailable
from danube_pkg.core.images.manifests import (
    ImageConfiguration,
    Index,
    Layer,
    Manifest,
    Platform,
    check_platform,
    choose,
    read_configuration,
    read_manifest,
)
from danube_pkg.core.images.ports import ImageStore, Registry
from danube_pkg.core.images.reference import (
    ArchivedImage,
    Image,
    ImageReference,
    ImageUnavailable,
    PackedLayer,
    StoredImage,
    parse_reference,
)
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Mutable, field
from danube_pkg.kit.tallies import Tally
from danube_pkg.kit.tasks import end_all

LAYERS_AT_ONCE = 3
"""Parallel downloads for one image. Registries limit each connection; more than a few would burden them."""

PROGRESS_SECONDS = 5.0
"""Interval of progress lines: a pull of a minute is a dozen lines in the job's log."""

_log = logging.getLogger("danube.images")

Report = Callable[[str], None]
"""Takes a line about the progress, for users."""


class _Pull(Mutable):
    """A pull in progress, and the callers that wait for it."""

    task: "asyncio.Task[Image]"
    listeners: list[Report] = field(default_factory=list)


class _Progress(Mutable):
    """Progress of a pull, in layers and in compressed bytes. current: bytes so far of layers being downloaded."""

    total_bytes: int
    layers: int
    unpacked: int = 0
    done_bytes: int = 0
    current: dict[str, Callable[[], int]] = field(default_factory=dict)

    def __str__(self) -> str:
        received = self.done_bytes + sum(written() for written in self.current.values())
        return f"{received >> 20} of {self.total_bytes >> 20} MB, {self.unpacked} of {self.layers} layers unpacked"


class ImageService:
    """`core.images.ports.Images` over a registry and a store. default_host: the registry of names without a host."""

    def __init__(
        self, registry: Registry, store: ImageStore, clock: Clock, *, platform: Platform, default_host: str
    ) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self.platform = platform
        self._default_host = default_host
        self._pulls: dict[str, _Pull] = {}
        self.pulled = Tally()

    def full_name(self, name: str) -> str:
        """The full name, by which the store has an image. Raises ImageUnavailable."""
        return str(parse_reference(name, self._default_host))

    async def ensure(self, name: str, report: Report) -> Image:
        reference = parse_reference(name, self._default_host)
        key = str(reference)
        pull = self._pulls.get(key)
        if pull is None:
            task = asyncio.get_running_loop().create_task(self._pull(reference, key), name=f"image {key}")
            pull = self._pulls[key] = _Pull(task)
        pull.listeners.append(report)
        try:
            return await asyncio.shield(pull.task)
        finally:
            pull.listeners.remove(report)
            if not pull.listeners:
                self._pulls.pop(key, None)
                await end_all(pull.task)

    def hold(self, image: Image, pod: Path) -> Path | None:
        return self._store.hold(image, pod)

    def read_file(self, image: Image, path: str) -> bytes:
        return self._store.read_file(image, path)

    async def load(self, archived: ArchivedImage, names: Sequence[str]) -> Sequence[Image]:
        """Stores an image from a file under these names, which are not pulled from then on. Raises ImageUnavailable."""
        full = [self.full_name(name) for name in names]
        await self.open()
        size = await self._size_of(archived.chain)
        if size is None:
            size = await self._store.unpack(full[0], archived.chain, len(archived.layers), _each(archived.layers))
        made = []
        for name in full:
            image = Image(
                name=name,
                digest=archived.digest,
                manifest=archived.digest,
                chain=archived.chain,
                config=archived.config,
                size_bytes=size,
                loaded=True,
                at=self._clock.now(),
            )
            self._store.remember(image)
            made.append(image)
        return made

    async def open(self) -> None:
        """Prepares the store; the first image would do it too. Raises Permanent."""
        await asyncio.to_thread(self._store.open)

    async def list(self) -> Sequence[StoredImage]:
        """The images in the store, by name."""
        await self.open()
        return await asyncio.to_thread(self._store.list)

    async def remove(self, name: str) -> StoredImage:
        """Removes an image that no pod uses. Raises NotFound, Conflict."""
        full = self.full_name(name)
        known = next((one for one in await self.list() if one.image.name == full), None)
        if known is None:
            raise NotFound("image-unknown", f"there is no image {full}", hint="list them with: danube image list")
        if known.pods:
            pods = f"{known.pods} pods" if known.pods > 1 else "a pod"
            raise Conflict(
                "image-in-use",
                f"image {full} is used by {pods}",
                hint="wait for its jobs: danube jobs --status running",
            )
        await asyncio.to_thread(self._store.remove, full)
        return known

    async def _size_of(self, chain: str) -> int | None:
        """Size in bytes of a root file system; None if it is not in the store."""
        if not self._store.has_root(chain):
            return None
        known = [stored.image for stored in await self.list()]
        return next((image.size_bytes for image in known if image.chain == chain), None)

    def _report(self, key: str, text: str) -> None:
        _log.info("image", extra={"fields": {"image": key, "progress": text}})
        for report in self._pulls[key].listeners if key in self._pulls else ():
            report(text)

    async def _pull(self, reference: ImageReference, key: str) -> Image:
        """The image, from the store or from its registry."""
        await self.open()
        known = self._store.find(key)
        if known is not None and (known.loaded or reference.digest):
            return known
        digest = reference.digest or await self._digest(reference, known, key)
        if known is not None and known.digest == digest:
            return known
        begun = self._clock.monotonic()
        found = await self._fetch(reference, digest, key)
        self.pulled.count(key)
        await asyncio.to_thread(self._store.make_room, 0)
        self._report(key, f"image {key} is ready after {self._clock.monotonic() - begun:.1f} s: {digest}")
        return found

    async def _digest(self, reference: ImageReference, known: Image | None, key: str) -> str:
        if known is None:
            return await self._registry.digest(reference)
        try:
            return await self._registry.digest(reference, single_try=True)
        except Unavailable as error:
            self._report(key, f"image {key}: using the cached copy ({known.digest}): {error}")
            return known.digest

    async def _fetch(self, reference: ImageReference, digest: str, key: str) -> Image:
        data, media_type = await self._registry.manifest(reference, digest)
        document, own = read_manifest(data, key, media_type), digest
        if isinstance(document, Index):
            own = choose(document, self.platform, key).digest
            data, media_type = await self._registry.manifest(reference, own)
            document = read_manifest(data, key, media_type)
        if isinstance(document, Index):
            raise ImageUnavailable(
                f"image {key} cannot be used", cause="it is an index of indexes", hint="push it again"
            )
        data = await self._registry.document(reference, document.config.digest)
        configuration = read_configuration(data, document, key)
        check_platform(configuration.platform, self.platform, key)
        size = await self._root(reference, document, configuration, key)
        image = Image(
            key, digest, own, configuration.chain, configuration.config, size, loaded=False, at=self._clock.now()
        )
        self._store.remember(image)
        return image

    # --- the root file system

    async def _root(
        self, reference: ImageReference, manifest: Manifest, configuration: ImageConfiguration, key: str
    ) -> int:
        """Unpacks the image; returns the size in bytes.

        If cached layers turn out to be damaged, they are pulled once more.
        """
        if (size := await self._size_of(configuration.chain)) is not None:
            return size
        cached = [layer for layer in manifest.layers if self._store.layer(layer.digest, layer.size) is not None]
        try:
            return await self._unpack(reference, manifest, configuration, key)
        except ImageUnavailable:
            for layer in manifest.layers:
                self._store.forget_layer(layer.digest)
            if not cached:
                raise
        return await self._unpack(reference, manifest, configuration, key)

    async def _unpack(
        self, reference: ImageReference, manifest: Manifest, configuration: ImageConfiguration, key: str
    ) -> int:
        """Downloads layers in parallel and applies them in order, each as soon as it and all below it are complete."""
        total = sum(layer.size for layer in manifest.layers)
        progress = _Progress(total, len(manifest.layers))
        self._report(key, f"pulling image {key}: {len(manifest.layers)} layers, {_megabytes(total)}")
        slots = asyncio.Semaphore(LAYERS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                fetches = [
                    group.create_task(
                        self._fetch_layer(reference, layer, slots, progress), name=f"layer {layer.digest}"
                    )
                    for layer in manifest.layers
                ]
                reports = group.create_task(self._report_progress(key, progress), name=f"progress of {key}")
                packed = _in_order(fetches, manifest.layers, configuration.diff_ids, progress)
                size = await self._store.unpack(key, configuration.chain, len(manifest.layers), packed)
                reports.cancel()
        except ExceptionGroup as errors:
            raise _first(errors) from errors
        return size

    async def _fetch_layer(
        self, reference: ImageReference, layer: Layer, slots: asyncio.Semaphore, progress: _Progress
    ) -> Path:
        path = self._store.layer(layer.digest, layer.size)
        async with slots:
            if path is None:
                async with self._store.receive_layer(layer.digest, layer.size) as file:
                    progress.current[layer.digest] = lambda: file.written
                    try:
                        await self._registry.layer(reference, layer.digest, file)
                        path = file.keep()
                    finally:
                        del progress.current[layer.digest]
        progress.done_bytes += layer.size
        return path

    async def _report_progress(self, key: str, progress: _Progress) -> None:
        while True:  # until the pull ends
            await self._clock.sleep(PROGRESS_SECONDS)
            self._report(key, f"image {key}: {progress}")


async def _each(layers: Sequence[PackedLayer]) -> AsyncIterator[PackedLayer]:
    for layer in layers:
        yield layer


async def _in_order(
    fetches: "list[asyncio.Task[Path]]", layers: tuple[Layer, ...], diff_ids: tuple[str, ...], progress: _Progress
) -> AsyncIterator[PackedLayer]:
    for fetch, layer, diff_id in zip(fetches, layers, diff_ids, strict=True):
        yield PackedLayer(await fetch, 0, layer.size, diff_id)
        progress.unpacked += 1


def _first(errors: "ExceptionGroup[Exception]") -> Exception:
    """The first error of a group; the others follow from it."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MB"
