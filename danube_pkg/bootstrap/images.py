"""The part of the composition root that brings images, for a server, for `danube run` and for `danube image` alike."""

import logging
import platform
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry import RegistryClient
from danube_pkg.adapters.images.store import ONE_OWNER, THE_IMAGES, ImageDirectory, Owners
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.runtimes.sandbox import find_program, has_ids_for_pods, map_of_user
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqliteSecrets
from danube_pkg.core.configuration.settings import RegistrySettings
from danube_pkg.core.errors import Defect, Permanent, Unavailable
from danube_pkg.core.images.manifests import platform_of
from danube_pkg.core.images.reference import ImageBounds
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.images.pulls import ImageService
from danube_pkg.services.images.registries import Registries, SecretOf
from danube_pkg.services.secrets import KnownValues, Secrets

_log = logging.getLogger("danube.images")


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """directory: the image store, which several processes may share. logins: where `docker login` keeps credentials.

    proxy_of: the proxy for a URL, where the machine reaches registries through one. hosts: what `[egress]` leads elsewhere, so
    that a registry on this machine has one name for the jobs that push to it and for the puller. server: the data directory of
    a server whose registries and credentials count here too; known: told of them.
    """

    directory: Path
    logins: Path
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    bounds: ImageBounds = field(default_factory=ImageBounds)
    proxy_of: Callable[[str], str | None] = lambda url: None
    hosts: Mapping[str, str] = field(default_factory=dict)
    server: Path | None = None
    known: KnownValues = field(default_factory=KnownValues)


@asynccontextmanager
async def open_images(
    plan: ImagePlan,
    specs: Callable[[], Sequence[RegistrySpec]] = tuple,
    secret_of: SecretOf | None = None,
) -> AsyncIterator[ImageService]:
    """The puller over its store, also without a server. What `[registry]` says comes before `specs`, which may say more of it."""

    async def no_secret(key: str, user: str) -> bytes:
        raise Permanent(
            "secret-not-set",
            f"{user} needs the secret {key!r}, and there is no server here that has one",
            hint=f"log in with: docker login; or where the server runs: danube secrets set {key}",
        )

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        of_server: Sequence[RegistrySpec] = ()
        if plan.server is not None:
            of_server, secret_of = await stack.enter_async_context(_registries_of(plan.server, plan.known))
        access = Registries(
            lambda: (*plan.registry.specs(), *of_server, *specs()), secret_of or no_secret, DockerLogins(plan.logins)
        )
        store = ImageDirectory(plan.directory, plan.bounds, owners_of_images(), _task_failed)
        stack.push_async_callback(store.close)
        registry = RegistryClient(access, clock, f"danube/{__version__}", plan.proxy_of, plan.hosts)
        stack.push_async_callback(registry.close)
        yield ImageService(
            registry, store, clock, platform=platform_of(platform.machine()), default_host=plan.registry.default_host
        )


def owners_of_images() -> Owners:
    """As pods on this machine will see them."""
    if has_ids_for_pods():
        return THE_IMAGES
    program = find_program("danube-ns")
    ids = map_of_user(program)
    if not ids.is_full:
        return ONE_OWNER
    return Owners(f"owners-{ids.first_user}-{ids.first_group}", keep=True, within=ids.within(program))


@asynccontextmanager
async def _registries_of(
    data: Path, known: KnownValues
) -> AsyncIterator[tuple[Sequence[RegistrySpec], SecretOf | None]]:
    """What a server on this machine knows of registries, by its files: the configuration that it has applied last, and its
    secrets. It need not run. Nothing is known where its program is of another version than this one, which is logged."""

    def no_id() -> str:
        raise Defect("guest-writes", "nothing is written into a server's database from outside")

    try:
        keys, database = Keys.open(data / "keys"), Database(data / "danube.db", is_guest=True)
    except (Permanent, Unavailable) as error:
        _log.warning("server-registries-unknown", extra={"fields": {"data": str(data), "cause": str(error)}})
        yield (), None
        return
    try:
        state, _ = await SqliteConfiguration(database, no_id).load_state()
        secrets = Secrets(SqliteSecrets(database), keys, SystemClock(), no_id, known)
        yield state.config.registries, secrets.read_for_server
    finally:
        await database.close()


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})
