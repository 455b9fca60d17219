"""Opens the access to repositories: the server's ssh key, credentials, mirrors, commit statuses."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.forges.client import HttpForges
from danube_pkg.adapters.git.process import Worker, worker_processes
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys.keys import DEPLOY_KEY_NAME
from danube_pkg.bootstrap.keys import open_ssh_key
from danube_pkg.bootstrap.store import Store
from danube_pkg.bootstrap.triggers import ForgeAccess
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import ConfigRepository, SourceSettings
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record
from danube_pkg.services.repositories.commit_statuses import CommitStatusReporter
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from danube_pkg.services.secrets import Secrets

_log = EventLog("danube.server")


class RepositoryParts(Record):
    """What reads repositories and calls forges. deploy_key: the public half of the server's own ssh key."""

    sources: GitSources
    credentials: ConfiguredCredentials
    statuses: CommitStatusReporter
    forges: HttpForges
    deploy_key: str

    def access(self, external_url: str) -> ForgeAccess:
        """What triggers need of it. external_url: of the server."""
        return ForgeAccess(self.sources, self.forges, self.credentials, self.deploy_key, external_url)


@asynccontextmanager
async def open_repositories(
    store: Store,
    applied: AppliedConfiguration,
    secrets: Secrets,
    repository: ConfigRepository,
    settings: SourceSettings,
) -> AsyncIterator[RepositoryParts]:
    """Creates the deploy key on the first start; mirrors are below `repos/`."""
    directory = store.directory / "keys"
    deploy_key, made = await open_ssh_key(directory, store.database)
    if made:
        _log.info("deploy-key-made", public=deploy_key, hint="give it read access: danube keys")
    forges = HttpForges()
    stack = ExitStack()
    worker = Worker(stack.enter_context(worker_processes()))
    try:
        key_path = str(directory / DEPLOY_KEY_NAME)
        credentials = ConfiguredCredentials(applied, repository, secrets, forges, store.clock, key_path)
        known_hosts = (directory / "known_hosts", Path("~/.ssh/known_hosts"))
        sources = GitSources(
            store.directory / "repos", credentials, worker=worker, settings=settings, known_hosts=known_hosts
        )
        statuses = CommitStatusReporter(applied, credentials, forges)
        yield RepositoryParts(sources, credentials, statuses, forges, deploy_key)
    finally:
        stack.close()
        await forges.close()
