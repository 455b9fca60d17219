"""Images for jobs: pulled once for all that wait, and unpacked while later layers are still downloading.

A tag is resolved at its registry each time, so that a job gets the newest push. If the registry does not answer, the
cached copy is used and the job's log says so. A digest, and an image that was loaded from a file, need no registry.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path

from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.policy import Policy, entry_for
from danube_pkg.core.egress.ports import EgressLedgers
from danube_pkg.core.egress.server_contacts import ServerReach
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
from danube_pkg.core.images.ports import ImageRequester, ImageStore, Registry, RegistryConnector
from danube_pkg.core.images.reference import (
    ArchivedImage,
    Image,
    ImageReference,
    ImageUnavailable,
    PackedLayer,
    StoredImage,
    parse_reference,
)
from danube_pkg.core.images.registries import RegistrySpec, configured_targets, endpoints_of, target_of
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Mutable, Record, field
from danube_pkg.kit.tallies import Tally
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.images.contacts import PullContacts, PullLedger

LAYERS_AT_ONCE = 3
"""Parallel downloads for one image. Registries limit each connection; more than a few would burden them."""

PROGRESS_SECONDS = 5.0
"""Interval of progress lines: a pull of a minute is a dozen lines in the job's log."""

_log = logging.getLogger("danube.images")

Report = Callable[[str], None]
"""Takes a line about the progress, for users."""


_ANYTHING = "anything"
_CONFIGURED = "configured"


class _Pull(Mutable):
    """A pull in progress, and the callers that wait for it. contacts: None where everything may be contacted."""

    reference: ImageReference
    contacts: PullContacts | None
    listeners: list[Report] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.reference)

    def report(self, text: str) -> None:
        _log.info("image", extra={"fields": {"image": self.name, "progress": text}})
        for report in self.listeners:
            report(text)


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


class ImageLedgers(Record):
    """Where contacts for jobs are recorded. host_forms: by a job's id, what its ledger must not show."""

    ledgers: EgressLedgers
    host_forms: Callable[[str], Awaitable[Collection[str]]]

    async def of(self, job_id: str) -> PullLedger:
        masks = await asyncio.to_thread(HostMasks, await self.host_forms(job_id))
        return PullLedger(job_id, self.ledgers, masks)


class ImageService:
    """`core.images.ports.Images` over registries and a store.

    specs: the configured registries. default_host: the registry of names without a host. ledgers: None where no job
    pulls images.
    """

    def __init__(
        self,
        registries: RegistryConnector,
        store: ImageStore,
        clock: Clock,
        *,
        platform: Platform,
        default_host: str,
        specs: Callable[[], Sequence[RegistrySpec]],
        ledgers: ImageLedgers | None = None,
    ) -> None:
        self._registries = registries
        self._store = store
        self._clock = clock
        self.platform = platform
        self._default_host = default_host
        self._specs = specs
        self._ledgers = ledgers
        self._pulls: dict[tuple[str, object], tuple[_Pull, asyncio.Task[Image]]] = {}
        self.pulled = Tally()

    def full_name(self, name: str) -> str:
        """The full name, by which the store has an image. Raises ImageUnavailable."""
        return str(parse_reference(name, self._default_host))

    async def ensure(self, name: str, report: Report, requester: ImageRequester) -> Image:
        reference = parse_reference(name, self._default_host)
        await self.open()
        known = self._store.find(str(reference))
        if known is not None and known.loaded:
            return known
        reach, share = self._reach(reference, requester)
        ledger = await self._ledgers.of(requester.job_id) if self._ledgers and requester.job_id else None
        pull, task = self._pulls.get((str(reference), share), (None, None))
        if pull is None or task is None:
            pull = _Pull(reference, PullContacts(reach, self._clock) if reach is not None else None)
        if pull.contacts is not None:
            if ledger is not None:
                pull.contacts.join(ledger)
            self._refuse_registry(reference, pull.contacts)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._pull(pull), name=f"image {reference}")
            self._pulls[str(reference), share] = pull, task
        pull.listeners.append(report)
        try:
            return await asyncio.shield(task)
        finally:
            pull.listeners.remove(report)
            if not pull.listeners:
                self._pulls.pop((str(reference), share), None)
                await end_all(task)

    def _reach(self, reference: ImageReference, requester: ImageRequester) -> tuple[ServerReach | None, object]:
        """What the pull may contact (None: everything), and a value that is equal for pulls with the same reach."""
        if requester.network is Network.HOST:
            return None, _ANYTHING
        specs = self._specs()
        configured = configured_targets(self._default_host, specs)
        if target_of(endpoints_of(reference.host, specs)[-1]) in configured:
            return ServerReach(configured, None), _CONFIGURED
        learn = requester.network is Network.LEARN
        entries = () if requester.network is Network.NONE else requester.allowlist
        return ServerReach(configured, Policy(entries, learn=learn)), (entries, learn)

    def _refuse_registry(self, reference: ImageReference, contacts: PullContacts) -> None:
        """Raises ImageUnavailable for a registry that the requester must not use, before anything is looked up."""
        host, port = target_of(endpoints_of(reference.host, self._specs())[-1])
        if not contacts.allows_target(host, port, proxied=False):
            raise ImageUnavailable(
                f"registry {reference.host} is not allowed for this job",
                cause="it is neither configured, nor does the job's egress allowlist have it",
                hint=f"name it in config.yaml: registries: [{{host: {reference.host}}}],"
                f" or list it: egress_allowlist: [{entry_for(host, port)}]",
            )

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

    async def clean_up(self, is_enough: Callable[[], bool]) -> int:
        return await asyncio.to_thread(self._store.clean_up, is_enough)

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

    async def _pull(self, pull: _Pull) -> Image:
        """The image, from the store or from its registry."""
        async with self._registries.open(pull.contacts) as registry:
            known = self._store.find(pull.name)
            if known is not None and (known.loaded or pull.reference.digest):
                return known
            digest = pull.reference.digest or await self._digest(pull, registry, known)
            if known is not None and known.digest == digest:
                return known
            begun = self._clock.monotonic()
            found = await self._fetch(pull, registry, digest)
            self.pulled.count(pull.name)
        await asyncio.to_thread(self._store.make_room, 0)
        pull.report(f"image {pull.name} is ready after {self._clock.monotonic() - begun:.1f} s: {digest}")
        return found

    async def _digest(self, pull: _Pull, registry: Registry, known: Image | None) -> str:
        if known is None:
            return await registry.digest(pull.reference)
        try:
            return await registry.digest(pull.reference, single_try=True)
        except Unavailable as error:
            pull.report(f"image {pull.name}: using the cached copy ({known.digest}): {error}")
            return known.digest

    async def _fetch(self, pull: _Pull, registry: Registry, digest: str) -> Image:
        reference, key = pull.reference, pull.name
        data, media_type = await registry.manifest(reference, digest)
        document, own = read_manifest(data, key, media_type), digest
        if isinstance(document, Index):
            own = choose(document, self.platform, key).digest
            data, media_type = await registry.manifest(reference, own)
            document = read_manifest(data, key, media_type)
        if isinstance(document, Index):
            raise ImageUnavailable(
                f"image {key} cannot be used", cause="it is an index of indexes", hint="push it again"
            )
        data = await registry.document(reference, document.config.digest)
        configuration = read_configuration(data, document, key)
        check_platform(configuration.platform, self.platform, key)
        size = await self._root(pull, registry, document, configuration)
        image = Image(
            key, digest, own, configuration.chain, configuration.config, size, loaded=False, at=self._clock.now()
        )
        self._store.remember(image)
        return image

    # --- the root file system

    async def _root(
        self, pull: _Pull, registry: Registry, manifest: Manifest, configuration: ImageConfiguration
    ) -> int:
        """Unpacks the image; returns the size in bytes.

        If cached layers turn out to be damaged, they are pulled once more.
        """
        if (size := await self._size_of(configuration.chain)) is not None:
            return size
        cached = [layer for layer in manifest.layers if self._store.layer(layer.digest, layer.size) is not None]
        try:
            return await self._unpack(pull, registry, manifest, configuration)
        except ImageUnavailable:
            for layer in manifest.layers:
                self._store.forget_layer(layer.digest)
            if not cached:
                raise
        return await self._unpack(pull, registry, manifest, configuration)

    async def _unpack(
        self, pull: _Pull, registry: Registry, manifest: Manifest, configuration: ImageConfiguration
    ) -> int:
        """Downloads layers in parallel and applies them in order, each as soon as it and all below it are complete."""
        total = sum(layer.size for layer in manifest.layers)
        progress = _Progress(total, len(manifest.layers))
        key = pull.name
        pull.report(f"pulling image {key}: {len(manifest.layers)} layers, {_megabytes(total)}")
        slots = asyncio.Semaphore(LAYERS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                fetches = [
                    group.create_task(
                        self._fetch_layer(pull.reference, registry, layer, slots, progress),
                        name=f"layer {layer.digest}",
                    )
                    for layer in manifest.layers
                ]
                reports = group.create_task(self._report_progress(pull, progress), name=f"progress of {key}")
                packed = _in_order(fetches, manifest.layers, configuration.diff_ids, progress)
                size = await self._store.unpack(key, configuration.chain, len(manifest.layers), packed)
                reports.cancel()
        except ExceptionGroup as errors:
            raise _first(errors) from errors
        return size

    async def _fetch_layer(
        self, reference: ImageReference, registry: Registry, layer: Layer, slots: asyncio.Semaphore, progress: _Progress
    ) -> Path:
        path = self._store.layer(layer.digest, layer.size)
        async with slots:
            if path is None:
                async with self._store.receive_layer(layer.digest, layer.size) as file:
                    progress.current[layer.digest] = lambda: file.written
                    try:
                        await registry.layer(reference, layer.digest, file)
                        path = file.keep()
                    finally:
                        del progress.current[layer.digest]
        progress.done_bytes += layer.size
        return path

    async def _report_progress(self, pull: _Pull, progress: _Progress) -> None:
        while True:  # until the pull ends
            await self._clock.sleep(PROGRESS_SECONDS)
            pull.report(f"image {pull.name}: {progress}")


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
