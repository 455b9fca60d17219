"""The part of the composition root that brings images, for a server, for `danube run` and for `danube image` alike."""

import logging
import platform
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry import RegistryClient
from danube_pkg.adapters.images.store import ImageDirectory
from danube_pkg.adapters.runtimes.sandbox import has_ids_for_pods
from danube_pkg.core.configuration.server import RegistrySpec
from danube_pkg.core.errors import Permanent
from danube_pkg.core.image_manifests import platform_of
from danube_pkg.core.images import ImageBounds
from danube_pkg.core.settings import RegistrySettings
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.images import ImageService
from danube_pkg.services.registries import Registries, SecretOf

_log = logging.getLogger("danube.images")


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """directory: the image store, which several processes may share. logins: where `docker login` keeps credentials.

    proxy_of: the proxy for a URL, where the machine reaches registries through one. hosts: what `[egress]` leads elsewhere, so
    that a registry on this machine has one name for the jobs that push to it and for the puller.
    """

    directory: Path
    logins: Path
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    bounds: ImageBounds = field(default_factory=ImageBounds)
    proxy_of: Callable[[str], str | None] = lambda url: None
    hosts: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def open_images(
    plan: ImagePlan,
    specs: Callable[[], Sequence[RegistrySpec]] = tuple,
    secret_of: SecretOf | None = None,
) -> AsyncIterator[ImageService]:
    """The puller over its store, also without a server. What `[registry]` says comes before `specs`, which may say more of it."""

    async def no_secret(key: str, user: str) -> bytes:
        raise Permanent("secret-not-set", f"{user} needs the secret {key!r}, and there is no server here that has one")

    access = Registries(lambda: (*plan.registry.specs(), *specs()), secret_of or no_secret, DockerLogins(plan.logins))
    clock = SystemClock()
    store = ImageDirectory(plan.directory, plan.bounds, keep_owners=has_ids_for_pods(), on_failure=_task_failed)
    registry = RegistryClient(access, clock, f"danube/{__version__}", plan.proxy_of, plan.hosts)
    service = ImageService(
        registry, store, clock, platform=platform_of(platform.machine()), default_host=plan.registry.default_host
    )
    try:
        yield service
    finally:
        await registry.close()
        await store.close()


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})
