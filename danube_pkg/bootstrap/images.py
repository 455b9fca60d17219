"""Opens the image store and the service that pulls images: for a server, `danube run` and `danube image`."""

import logging
import platform
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.images.authentication import Authorizations
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry import RegistryClient, RegistryClients
from danube_pkg.adapters.images.store import IMAGE_OWNERS, SINGLE_OWNER, ImageDirectory, Owners
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.programs import find_program
from danube_pkg.adapters.runtimes.sandbox.id_maps import map_of_user
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqliteSecrets
from danube_pkg.core.configuration.registry_settings import RegistrySettings
from danube_pkg.core.errors import Defect, Permanent, Unavailable
from danube_pkg.core.images.manifests import platform_of
from danube_pkg.core.images.ports import RegistryGuard
from danube_pkg.core.images.reference import ImageBounds
from danube_pkg.core.images.registries import RegistryCredentials, RegistrySpec
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.http_client import ProxyOf, no_proxy
from danube_pkg.kit.records import Record, field
from danube_pkg.kit.tasks import logged
from danube_pkg.services.images.pulls import ImageLedgers, ImageService
from danube_pkg.services.images.registries import Registries, SecretOf
from danube_pkg.services.secrets import KnownValues, Secrets

_log = logging.getLogger("danube.images")


class ImageOptions(Record):
    """Where images are stored and how registries are reached.

    directory: the image store, which several processes may share. logins: the `config.json` of `docker login`.
    proxy_of: the proxy for a URL. hosts: IP address by host name, from `[egress]`, so that a registry on this machine
    has one name for jobs and for pulls. server: the data directory of a server whose registries and credentials are
    used too. known: gets the values of those credentials, to mask them. credentials: by a registry's host, those that
    take precedence, since the server itself has issued them.
    """

    directory: Path
    logins: Path
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    bounds: ImageBounds = field(default_factory=ImageBounds)
    proxy_of: ProxyOf = no_proxy
    hosts: Mapping[str, str] = field(default_factory=dict)
    server: Path | None = None
    known: KnownValues = field(default_factory=KnownValues)
    credentials: Mapping[str, RegistryCredentials] = field(default_factory=dict)


@asynccontextmanager
async def open_images(
    options: ImageOptions,
    specs: Callable[[], Sequence[RegistrySpec]] = tuple,
    secret_of: SecretOf | None = None,
    ledgers: ImageLedgers | None = None,
) -> AsyncIterator[ImageService]:
    """Opens the service until the block ends.

    specs: the configured registries, which override those of `[registry]`. secret_of: reads a registry's password.
    ledgers: where contacts for jobs are recorded.
    """

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        server_specs: Sequence[RegistrySpec] = ()
        if options.server is not None:
            server_specs, secret_of = await stack.enter_async_context(_registries_of(options.server, options.known))
        access = Registries(
            lambda: (*options.registry.specs(), *server_specs, *specs()),
            secret_of or no_secret,
            DockerLogins(options.logins),
            options.credentials,
        )
        store = ImageDirectory(options.directory, options.bounds, owners_of_images(), logged(_log))
        stack.push_async_callback(store.close)

        authorizations = Authorizations()

        def client(guard: RegistryGuard | None) -> RegistryClient:
            agent = f"danube/{__version__}"
            return RegistryClient(
                access, clock, agent, options.proxy_of, random.random, options.hosts, guard, authorizations
            )

        yield ImageService(
            RegistryClients(client),
            store,
            clock,
            platform=platform_of(platform.machine()),
            default_host=options.registry.default_host,
            specs=access.specs,
            ledgers=ledgers,
        )


async def no_secret(key: str, user: str) -> bytes:
    """For a command without a server. Raises Permanent."""
    raise Permanent(
        "secret-not-set",
        f"{user} needs the secret {key!r}, and no server is configured here",
        hint=f"log in with: docker login; or where the server runs: danube secrets set {key}",
    )


def owners_of_images() -> Owners:
    """How the owners of image files are stored, so that pods of this machine see the owners of the image."""
    if has_ids_for_pods():
        return IMAGE_OWNERS
    program = find_program("danube-ns")
    ids = map_of_user(program)
    if not ids.is_full:
        return SINGLE_OWNER
    return Owners(f"owners-{ids.first_user}-{ids.first_group}", keep=True, command_prefix=ids.userns_command(program))


@asynccontextmanager
async def _registries_of(
    data: Path, known: KnownValues
) -> AsyncIterator[tuple[Sequence[RegistrySpec], SecretOf | None]]:
    """The registries of a server on this machine, from its files: its applied configuration and its secrets.

    The server need not be running. If the files cannot be read (a server of another version) there are none, and the
    cause is logged.
    """

    def no_id() -> str:
        raise Defect("guest-writes", "a process that is not the server must not write into its database")

    try:
        keys, database = Keys.read(data / "keys"), Database(data / "danube.db", is_guest=True)
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
