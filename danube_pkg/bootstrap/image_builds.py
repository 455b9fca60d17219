"""Builds the service of image builds, for a server and for `danube run`."""

from collections.abc import Callable, Sequence

from danube_pkg import __version__
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry_catalog import RegistryCatalog
from danube_pkg.adapters.store import SqlitePushedImages
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.registry_settings import RegistrySettings
from danube_pkg.core.images.registries import RegistrySpec, endpoints_of
from danube_pkg.services.images.builds import BuildSettings, ImageBuilds
from danube_pkg.services.images.job_logins import JobLogins
from danube_pkg.services.images.registries import Registries
from danube_pkg.services.images.registry_tokens import RegistryTokens
from danube_pkg.services.secrets import Secrets


class CatalogReader:
    """`core.images.pushed.OwnRegistry`, with a connection for each question: builds are minutes apart."""

    def __init__(self, options: ImageOptions, applied: AppliedConfiguration, secrets: Secrets, store: Store) -> None:
        self._options = options
        self._applied = applied
        self._secrets = secrets
        self._store = store

    async def digest_of(self, repository: str, tag: str) -> str:
        options, own = self._options, self._options.registry.specs()[0]
        access = Registries(
            lambda: (own, *self._applied.config.registries),
            self._secrets.read_for_server,
            DockerLogins(options.logins),
            options.credentials,
        )
        endpoint, agent = endpoints_of(own.host, (own,))[-1], f"danube/{__version__}"
        catalog = RegistryCatalog(endpoint, access, self._store.clock, agent, options.hosts)
        try:
            found = await catalog.manifest(repository, tag)
        finally:
            await catalog.close()
        return found.digest if found is not None else ""


def build_image_builds(
    options: ImageOptions | None,
    store: Store,
    applied: AppliedConfiguration,
    secrets: Secrets,
    logins: JobLogins,
    tokens: RegistryTokens | None,
) -> ImageBuilds:
    """options: None for a runtime without images."""
    registry, specs = _registries(options, applied)
    reader = CatalogReader(options, applied, secrets, store) if options is not None and registry.url else None
    settings = BuildSettings(registry.host, registry.default_host, specs)
    return ImageBuilds(settings, SqlitePushedImages(store.database), store.clock, logins, tokens, reader)


def build_job_logins(
    options: ImageOptions | None, store: Store, applied: AppliedConfiguration, secrets: Secrets
) -> JobLogins:
    """options: None for a runtime without images."""
    registry, specs = _registries(options, applied)
    host = registry.host if registry.token_url else ""
    return JobLogins(host, store.keys, specs, secrets.read_for_server)


def _registries(
    options: ImageOptions | None, applied: AppliedConfiguration
) -> tuple[RegistrySettings, Callable[[], Sequence[RegistrySpec]]]:
    """The settings of the server's own registry, and all configured ones."""
    registry = options.registry if options is not None else RegistrySettings()
    return registry, lambda: (*registry.specs(), *applied.config.registries)
