"""The part of the composition root that reads: repositories with their credentials, and the configuration in one of them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.forges.client import HttpForges
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys.keys import DEPLOY_KEY_NAME, open_deploy_key
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqliteSecrets
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.settings import ConfigRepository, SourceSettings, in_force
from danube_pkg.core.identity.oidc import ClientSettings
from danube_pkg.core.repositories.urls import is_remote
from danube_pkg.kit.clock import Clock
from danube_pkg.services.configuration.commit_status import ConfigurationReports
from danube_pkg.services.configuration.sync import Circumstances, Configuration
from danube_pkg.services.repositories.commit_statuses import Statuses
from danube_pkg.services.repositories.credentials import Credentials
from danube_pkg.services.secrets import Secrets

_log = logging.getLogger("danube.server")


@dataclass(frozen=True, slots=True)
class Git:
    """What reads repositories for a server. deploy_key: the public half of its own ssh key."""

    sources: GitSources
    statuses: Statuses
    forges: HttpForges
    deploy_key: str


def open_git(
    repository: ConfigRepository,
    settings: SourceSettings,
    data: Path,
    config: Callable[[], ConfigSpec],
    secrets: Secrets,
    clock: Clock,
) -> Git:
    """The server's own key, made on first start; credentials by the configuration in force; mirrors below `repos/`."""
    directory = data / "keys"
    made = not (directory / DEPLOY_KEY_NAME).exists()
    deploy_key = open_deploy_key(directory)
    if made:
        _log.info(
            "deploy-key-made", extra={"fields": {"public": deploy_key, "hint": "give it read access: danube keys"}}
        )
    forges = HttpForges()
    credentials = Credentials(config, repository, secrets, forges, clock, str(directory / DEPLOY_KEY_NAME))
    known_hosts = (directory / "known_hosts", Path("~/.ssh/known_hosts"))
    sources = GitSources(data / "repos", credentials, settings=settings, known_hosts=known_hosts)
    return Git(sources, Statuses(config, credentials, forges), forges, deploy_key)


async def open_configuration(
    circumstances: Circumstances,
    database: Database,
    git: Git,
    clock: Clock,
    new_id: Callable[[], str],
    on_applied: Callable[[], None],
) -> Configuration:
    """Loaded as it was applied last; one on this machine's disk is looked at before anything else happens."""
    repository = circumstances.repository
    configuration = Configuration(
        ConfigurationDirectory(repository, git.sources),
        SqliteConfiguration(database, new_id),
        SqliteSecrets(database),
        clock,
        circumstances,
        on_applied,
        ConfigurationReports(git.statuses),
    )
    await configuration.load()
    if not is_remote(repository.url):
        await configuration.sync()  # a repository elsewhere may be away, which must not keep the server
    server, written, flags = circumstances.server, circumstances.written, circumstances.flags
    configuration.run_with(in_force(server, written, configuration.config, flags))
    return configuration


async def oidc_client(
    config: Callable[[], ConfigSpec], secrets: Secrets, own: ClientSettings | None = None
) -> ClientSettings | None:
    """Danube as the issuer of the configuration in force knows it, else as its own Dex does (`own`); None where people log in
    with their passwords here."""
    issuer = config().auth.oidc
    if issuer is None:
        return own
    secret = b""
    if issuer.client_secret_secret:
        secret = await secrets.read_for_server(issuer.client_secret_secret, "the login by OpenID Connect")
    return ClientSettings(
        issuer.issuer, issuer.client_id, secret.decode("utf-8", "replace").strip(), issuer.scopes, issuer.groups_claim
    )
