"""The puller as a server has it, on a store of its own: real HTTP, real files, the clock of this machine."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry import RegistryClient
from danube_pkg.adapters.images.store import ImageDirectory, Owners
from danube_pkg.bootstrap.images import owners_of_images
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.reference import Image, ImageBounds, ImageUnavailable
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.images.pulls import ImageService
from danube_pkg.services.images.registries import Registries
from tests.support.image_layouts import MACHINE


class QuickClock(SystemClock):
    """Nobody waits for a registry in a test; how long it would have been is in `slept`."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.to_thread(bool)  # the others go on


@dataclass
class ImageSetup:
    """Everything about images in one directory. rules, secrets: may be changed while it is open."""

    directory: Path
    store: ImageDirectory
    images: ImageService
    rules: list[RegistrySpec]
    secrets: dict[str, bytes]
    clock: QuickClock
    news: list[str] = field(default_factory=list)

    async def pull(self, name: str) -> Image:
        return await self.images.ensure(name, self.news.append)

    def root(self, image: Image) -> Path:
        """Its unpacked files, held by a pod that is this directory."""
        held = self.store.hold(image, self.directory)
        assert held is not None
        return held

    def left_over(self) -> Sequence[Path]:
        """What is half made, or was kept of an image that was refused."""
        return [path for name in ("new", "layers") for path in (self.directory / "images" / name).iterdir()]


@asynccontextmanager
async def open_image_setup(
    directory: Path, *rules: RegistrySpec, bounds: ImageBounds | None = None, owners: Owners | None = None
) -> AsyncIterator[ImageSetup]:
    """Registries of the loopback are reached by http where a rule says so."""
    directory.mkdir(exist_ok=True)
    known, secrets = list(rules), dict[str, bytes]()

    async def secret_of(key: str, user: str) -> bytes:
        if key not in secrets:
            raise Permanent("secret-not-set", f"{user} needs the secret {key!r}", hint=f"danube secrets set {key}")
        return secrets[key]

    access = Registries(lambda: known, secret_of, DockerLogins(directory / "config.json"))
    clock = QuickClock()
    registry = RegistryClient(access, clock, "danube-test", lambda url: None)
    failures: list[BaseException] = []
    store = ImageDirectory(
        directory / "images",
        bounds or ImageBounds(),
        owners or owners_of_images(),
        lambda name, error: failures.append(error),
    )
    images = ImageService(registry, store, SystemClock(), platform=MACHINE, default_host="registry.invalid")
    store.open()
    try:
        yield ImageSetup(directory, store, images, known, secrets, clock)
    finally:
        await registry.close()
        await store.close()
        assert [repr(failure) for failure in failures] == []


async def refusal(setup: ImageSetup, name: str) -> str:
    """What is said against an image, with the hint."""
    with pytest.raises(ImageUnavailable) as refused:
        await setup.pull(name)
    assert refused.value.hint
    assert setup.left_over() == []
    return f"{refused.value} ({refused.value.hint})"
