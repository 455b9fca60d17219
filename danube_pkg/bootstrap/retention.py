"""Opens the removal of old files and images."""

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from danube_pkg import __version__
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.images.registry_catalog import RegistryCatalog
from danube_pkg.adapters.retention.files import JobFileDirectories
from danube_pkg.adapters.store import SqliteRetention, SqliteSeenManifests, SqliteServerState
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.reference import parse_reference
from danube_pkg.core.images.registries import endpoints_of
from danube_pkg.core.retention.plan import RetentionPolicy
from danube_pkg.core.retention.registry import ImagePolicy
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.caches import Caches
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.images.registries import Registries, SecretOf
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.registry_images import RegistryImages
from danube_pkg.services.retention import Retention

_log = logging.getLogger("danube.retention")


def build_retention(
    store: Store,
    applied: AppliedConfiguration,
    audit: Audit,
    draining: Draining,
    images: RegistryImages | None = None,
    caches: Caches | None = None,
) -> Retention:
    """Nothing is removed yet."""

    def policy() -> RetentionPolicy:
        return applied.config.retention.policy

    def interval() -> float:
        return float(applied.config.retention.removal_interval)

    state, rows = SqliteServerState(store.database), SqliteRetention(store.database)
    return Retention(
        rows,
        JobFileDirectories(store.directory),
        state,
        audit,
        store.timing,
        policy,
        interval,
        images,
        caches,
        lambda: draining.is_restored,
    )


def open_catalog(
    options: ImageOptions, applied: AppliedConfiguration, secret_of: SecretOf, store: Store
) -> RegistryCatalog:
    """The registry that danube.toml names, which must be one. Close it after use."""
    own = options.registry.specs()[0]
    logins = DockerLogins(options.logins)
    access = Registries(lambda: (own, *applied.config.registries), secret_of, logins, options.credentials)
    return RegistryCatalog(
        endpoints_of(own.host, (own,))[-1], access, store.clock, f"danube/{__version__}", options.hosts
    )


def build_images(
    catalog: RegistryCatalog, options: ImageOptions, applied: AppliedConfiguration, store: Store
) -> RegistryImages:
    """The images of that registry."""

    def policy() -> ImagePolicy:
        return applied.config.retention.image_policy

    def named() -> Collection[tuple[str, str]]:
        return images_named(applied, catalog.host, options.registry.default_host)

    seen = SqliteSeenManifests(store.database, catalog.host)
    return RegistryImages(catalog, seen, store.clock, policy, named, lambda: frozenset(applied.state.pipelines))


def images_named(applied: AppliedConfiguration, host: str, default_host: str) -> frozenset[tuple[str, str]]:
    """(repository, tag or digest) of the images at a registry that pipelines name."""
    found = set()
    for pipeline in applied.state.pipelines.values():
        try:
            reference = parse_reference(pipeline.spec.image, default_host)
        except Permanent:
            continue  # no image of a registry, such as `host`
        if reference.host == host:
            found.add((reference.path, reference.digest or reference.tag))
    return frozenset(found)


@asynccontextmanager
async def open_retention(
    store: Store,
    applied: AppliedConfiguration,
    audit: Audit,
    jobs: EngineParts,
    options: ImageOptions,
    secret_of: SecretOf,
) -> AsyncIterator[Retention]:
    """Removes files and images until the block is left. secret_of: reads a registry's password."""
    async with AsyncExitStack() as stack:
        images = None
        if options.registry.specs():
            catalog = open_catalog(options, applied, secret_of, store)
            stack.push_async_callback(catalog.close)
            images = build_images(catalog, options, applied, store)
        retention = build_retention(store, applied, audit, jobs.draining, images, jobs.files.caches)
        owner = TaskOwner(logged(_log))
        stack.push_async_callback(owner.close)
        owner.start("retention", retention.run())
        yield retention
