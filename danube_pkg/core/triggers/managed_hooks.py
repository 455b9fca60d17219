"""Webhooks that the server makes and repairs by itself: which repositories get one, and what a user does where it
cannot.

It needs two consents: `manage` of the forge's webhooks, and of the credential that matches the repository.
"""

from collections.abc import Iterator
from typing import Annotated, Protocol
from urllib.parse import urlencode, urlsplit

from danube_pkg.core.configuration.config import WebhookSpec
from danube_pkg.core.configuration.state import PipelineDefinition, State
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forge_hooks import MARKER
from danube_pkg.core.repositories.forge_links import forge_pages
from danube_pkg.core.repositories.forges import Forge, ForgeProject, forge_project
from danube_pkg.core.repositories.git_authentication import SshKey
from danube_pkg.core.repositories.urls import canonical, is_remote, scheme_of
from danube_pkg.core.secrets.secret import SecretName, StoredSecret
from danube_pkg.core.triggers.conditions import FROM_WEBHOOKS
from danube_pkg.core.triggers.heads import is_same_repository, repository_at
from danube_pkg.core.triggers.webhooks.events import WebhookRepository
from danube_pkg.kit.records import HIDDEN, Record

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def hook_secret_name(repository: str) -> SecretName:
    """Under which name the secret of a repository's webhook is encrypted."""
    return SecretName(None, f"webhook of {repository}")


class ManagedHook(Record):
    """A webhook that the server made, or is about to make.

    repository: as `canonical` has it, in lower case. marker: in the webhook's URL. secret_encrypted: as secrets are
    stored. url: the repository's URL in pipelines. hook_id: the forge's, "" before it was made. repository_id: the
    forge's own, 0 if it is not known.
    """

    repository: str
    forge: Forge
    marker: str
    secret_encrypted: Annotated[bytes, HIDDEN]
    url: str
    hook_id: str = ""
    repository_id: int = 0

    @property
    def stored_secret(self) -> StoredSecret:
        """The secret as the cipher takes it."""
        return StoredSecret(self.marker, hook_secret_name(self.repository), self.secret_encrypted, 0.0, 0.0)

    def is_of(self, repository: WebhookRepository) -> bool:
        """Whether a delivery's repository is the webhook's, also after a rename."""
        if self.repository_id and repository.id:
            return self.repository_id == repository.id
        return is_same_repository(repository_at(self.url), repository)


class HookStore(Protocol):
    """The webhooks that the server made."""

    async def hook_of(self, repository: str) -> ManagedHook | None: ...
    async def hook_with(self, marker: str) -> ManagedHook | None: ...

    async def put_hook(self, hook: ManagedHook) -> None:
        """Store a webhook in the place of that of its repository; on disk when this returns."""
        ...


class ManagedRepository(Record):
    """A repository whose webhook the server makes. deploy_key: it gets the server's key as well."""

    url: str
    project: ForgeProject
    deploy_key: bool

    @property
    def name(self) -> str:
        """The repository as `canonical` has it, in lower case."""
        return canonical(self.url).lower()


def with_webhook_triggers(state: State) -> dict[str, list[PipelineDefinition]]:
    """The pipelines that wait for webhooks, by their repositories at forges: each once, by its first URL."""
    urls: dict[str, str] = {}
    found: dict[str, list[PipelineDefinition]] = {}
    for one in state.pipelines.values():
        url = one.spec.repository
        if is_remote(url) and any(trigger.kind in FROM_WEBHOOKS for trigger in one.spec.triggers):
            found.setdefault(urls.setdefault(canonical(url).lower(), url), []).append(one)
    return found


def managed_repositories(state: State) -> Iterator[ManagedRepository]:
    """The repositories whose webhooks the server makes."""
    specs = {one.forge: one for one in state.config.webhooks if one.manage}
    for url in with_webhook_triggers(state):
        project = forge_project(url, state.config.git_authentication)
        if project is None or isinstance(project.rule, SshKey) or not project.rule.manage:
            continue
        spec: WebhookSpec | None = specs.get(project.forge)
        if spec is not None:
            yield ManagedRepository(url, project, spec.deploy_key and scheme_of(url) == "ssh")


def hook_url(external_url: str, forge: Forge, marker: str) -> str:
    """The URL to which the forge sends a managed webhook."""
    return f"{external_url.rstrip('/')}/hooks/{forge}?{urlencode({MARKER: marker})}"


def unusable_url(external_url: str) -> Condition | None:
    """Why webhooks cannot be made with this URL of the server; None where they can."""
    parts = urlsplit(external_url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return None
    problem = f"{external_url} is not https" if external_url else "server.external_url is not set"
    return Condition(
        "webhooks-not-managed",
        f"the server cannot make webhooks: {problem}, and a forge needs an https URL of this server",
        'in danube.toml: [server] external_url = "https://ci.example.org"; then restart the server',
    )


def not_managed(repository: ManagedRepository, external_url: str, problem: str) -> Condition:
    """What a user does where the server may not make the webhook."""
    forge = repository.project.forge
    pages = forge_pages(repository.url)
    host = canonical(repository.url)
    page = f"{pages.address if pages is not None else host}{_SETTINGS[forge]}"
    target = f"{external_url.rstrip('/')}/hooks/{forge}"
    return Condition(
        "webhook-not-managed",
        f"the webhook of {host} cannot be made or repaired: {problem}",
        f"give the account of {repository.project.rule.name} the right {_RIGHTS[forge]} on the repository; or on {page} "
        f"add a webhook by hand: {target}, application/json, a secret that config.yaml names, pushes, tags and "
        "pull requests",
    )


_SETTINGS = {
    Forge.GITHUB: "/settings/hooks",
    Forge.GITLAB: "/-/hooks",
    Forge.GITEA: "/settings/hooks",
    Forge.FORGEJO: "/settings/hooks",
}
_RIGHTS = {
    Forge.GITHUB: "Admin (of an App: Webhooks, read and write)",
    Forge.GITLAB: "Maintainer (and the token the scope api)",
    Forge.GITEA: "Administrator (and the token the scope write:repository)",
    Forge.FORGEJO: "Administrator (and the token the scope write:repository)",
}


def missing_rights(forge: Forge) -> str:
    """The right that a credential needs to make webhooks."""
    return _RIGHTS[forge]
