"""Opens what attaches provenance to pushed images in the server's own registry."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from danube_pkg import __version__
from danube_pkg.adapters.images.attaching import RegistryAttachments
from danube_pkg.adapters.images.exchange import RegistryExchange
from danube_pkg.adapters.images.logins import DockerLogins
from danube_pkg.adapters.store import SqliteProvenance, SqlitePushedImages
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.images.manifests import MAX_DOCUMENT_BYTES
from danube_pkg.core.images.registries import endpoints_of
from danube_pkg.core.provenance.image_attestations import AttachedStatement
from danube_pkg.kit.http_client import HttpSettings
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.images.attestations import ImageProvenance
from danube_pkg.services.images.registries import Registries, SecretOf

ATTACH_SECONDS = 60.0
"""Deadline of one request: a statement has some megabytes at most."""

_log = logging.getLogger("danube.attestations")


class AttachmentWriter:
    """`core.provenance.image_attestations.ImageAttestations` for the server's own registry, with a
    connection for each image."""

    def __init__(self, options: ImageOptions, applied: AppliedConfiguration, secret_of: SecretOf, store: Store) -> None:
        self._options = options
        self._applied = applied
        self._secret_of = secret_of
        self._store = store

    async def attach(self, repository: str, digest: str, statements: Sequence[AttachedStatement]) -> None:
        options, own = self._options, self._options.registry.specs()[0]
        access = Registries(
            lambda: (own, *self._applied.config.registries),
            self._secret_of,
            DockerLogins(options.logins),
            options.credentials,
        )
        endpoint = endpoints_of(own.host, (own,))[-1]
        settings = HttpSettings(
            f"danube/{__version__}",
            total_seconds=ATTACH_SECONDS,
            redirects=0,
            body_bytes=MAX_DOCUMENT_BYTES,
            hosts=options.hosts,
        )
        exchange = RegistryExchange(endpoint, access, self._store.clock, settings)
        try:
            await RegistryAttachments(endpoint, exchange).attach(repository, digest, statements)
        finally:
            await exchange.close()


@asynccontextmanager
async def open_image_provenance(
    store: Store, jobs: EngineParts, options: ImageOptions, secret_of: SecretOf
) -> AsyncIterator[Sequence[ConditionSource]]:
    """Attaches provenance to pushed images until the block is left; its conditions. Nothing without a registry."""
    if not options.registry.specs():
        yield ()
        return
    service = ImageProvenance(
        SqlitePushedImages(store.database),
        SqliteProvenance(store.database),
        AttachmentWriter(options, jobs.observer.applied, secret_of, store),
        store.timing,
        jobs.images.builds.added,
        lambda: jobs.draining.is_restored,
    )
    jobs.draining.listen(jobs.images.builds.added.set)
    owner = TaskOwner(logged(_log))
    owner.start("image-provenance", service.run())
    try:
        yield (service,)
    finally:
        await owner.close()
