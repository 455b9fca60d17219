"""The image service of a server with its own store: real HTTP, real files, pauses that end at once."""

import asyncio
import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.images.authentication import Authorizations
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry import RegistryClient, RegistryClients
from danube_pkg.adapters.images.store import ImageDirectory, Owners
from danube_pkg.bootstrap.images import owners_of_images
from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.ports import ImageRequester, RegistryGuard
from danube_pkg.core.images.reference import Image, ImageBounds, ImageUnavailable
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.http_client import no_proxy
from danube_pkg.services.images.pulls import ImageLedgers, ImageService
from danube_pkg.services.images.registries import Registries
from tests.support.image_layouts import MACHINE


class QuickClock(SystemClock):
    """Pauses end at once; `slept` has how long each would have been."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.to_thread(bool)  # other tasks run meanwhile


BY_HAND = ImageRequester("", Network.HOST, ())
"""Whose pulls may contact everything."""


async def no_forms(job_id: str) -> Collection[str]:
    """Nothing to mask in the ledger of this job."""
    return ()


@dataclass
class ImageSetup:
    """The image service in one directory. rules, secrets: may be changed while it is open. progress: reported lines."""

    directory: Path
    store: ImageDirectory
    images: ImageService
    rules: list[RegistrySpec]
    secrets: dict[str, bytes]
    clock: QuickClock
    requester: ImageRequester
    ledgers: FileLedgers
    progress: list[str] = field(default_factory=list)

    async def pull(self, name: str) -> Image:
        return await self.images.ensure(name, self.progress.append, self.requester)

    def contacts(self, job_id: str) -> Sequence[Contact]:
        """What the ledger of this job has."""
        return self.ledgers.read(job_id)

    def root(self, image: Image) -> Path:
        """The unpacked files, held by a pod with this directory."""
        held = self.store.hold(image, self.directory)
        assert held is not None
        return held

    def left_over(self) -> Sequence[Path]:
        """Incomplete files, and layers."""
        return [path for name in ("new", "layers") for path in (self.directory / "images" / name).iterdir()]


@asynccontextmanager
async def open_image_setup(
    directory: Path,
    *rules: RegistrySpec,
    bounds: ImageBounds | None = None,
    owners: Owners | None = None,
    requester: ImageRequester | None = None,
    hosts: Mapping[str, str] | None = None,
) -> AsyncIterator[ImageSetup]:
    """Opens the service. rules: the configured registries; those on loopback are insecure. requester: for whom images
    are pulled, by default a job with an empty allowlist. hosts: addresses of names."""
    directory.mkdir(exist_ok=True)
    known, secrets = list(rules), dict[str, bytes]()

    async def secret_of(key: str, user: str) -> bytes:
        if key not in secrets:
            raise Permanent("secret-not-set", f"{user} needs the secret {key!r}", hint=f"danube secrets set {key}")
        return secrets[key]

    access = Registries(lambda: known, secret_of, DockerLogins(directory / "config.json"))
    clock = QuickClock()

    authorizations = Authorizations()

    def client(guard: RegistryGuard | None) -> RegistryClient:
        return RegistryClient(access, clock, "danube-test", no_proxy, random.random, hosts or {}, guard, authorizations)

    ledgers = FileLedgers(directory / "ledgers")
    failures: list[BaseException] = []
    store = ImageDirectory(
        directory / "images",
        bounds or ImageBounds(),
        owners or owners_of_images(),
        lambda name, error: failures.append(error),
    )
    images = ImageService(
        RegistryClients(client),
        store,
        SystemClock(),
        platform=MACHINE,
        default_host="registry.invalid",
        specs=access.specs,
        ledgers=ImageLedgers(ledgers, no_forms),
    )
    store.open()
    try:
        requester = requester or ImageRequester("job", Network.ALLOWLIST, ())
        yield ImageSetup(directory, store, images, known, secrets, clock, requester, ledgers)
    finally:
        await store.close()
        assert [repr(failure) for failure in failures] == []


async def refusal(setup: ImageSetup, name: str) -> str:
    """The error for an image, with its hint."""
    with pytest.raises(ImageUnavailable) as refused:
        await setup.pull(name)
    assert refused.value.hint
    assert setup.left_over() == []
    return f"{refused.value} ({refused.value.hint})"
