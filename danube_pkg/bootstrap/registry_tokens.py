"""Builds the token service of the server's own registry."""

from collections.abc import Mapping, Sequence

from danube_pkg.adapters.keys.registry_key import RegistryKeyFile
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.images.registries import RegistryCredentials
from danube_pkg.core.images.registry_tokens import CredentialKind, RegistryCredential
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.records import replace
from danube_pkg.services.images.registry_tokens import RegistryTokens
from danube_pkg.services.jobs.engine import Engine


def with_own_credentials(options: ImageOptions, store: Store) -> ImageOptions:
    """The options with the server's own credential for its registry, where that takes the server's tokens."""
    if not options.registry.token_url:
        return options
    password = store.keys.registry_password(RegistryCredential(CredentialKind.SERVER))
    return replace(options, credentials={options.registry.host: RegistryCredentials("danube", password)})


def build_registry_tokens(
    options: ImageOptions | None, store: Store, applied: AppliedConfiguration, engine: Engine
) -> RegistryTokens | None:
    """None where the registry takes no tokens of this server. Makes the key and the certificate. Raises Permanent."""
    if options is None or not options.registry.token_url:
        return None
    key = RegistryKeyFile(store.directory / "keys")
    key.open()

    def job_of(job_id: str) -> Job:
        return engine.active_job(job_id).job

    def images_of() -> Mapping[str, Sequence[str]]:
        return {name: one.spec.images for name, one in applied.state.pipelines.items()}

    return RegistryTokens(options.registry.host, store.keys, key, store.clock, store.new_id, job_of, images_of)
