"""Credentials for repositories: by the rules of the applied configuration, with values that are Danube secrets.

A GitHub App's installation token is requested when it is needed and cached until shortly before it expires; callers
that wait for the same token share one request. Reading code and writing statuses use different tokens: the first may
write nothing, and with an App that may not write statuses, for which GitHub would refuse a common token, code can still
be read. The server's own log knows each value, to mask it, before it is used.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.credentials import (
    CONFIG_TOKEN,
    DEPLOY_KEY,
    refuse_clear_text,
    rule_for,
)
from danube_pkg.core.repositories.forges import installation_token_request
from danube_pkg.core.repositories.git_authentication import (
    GithubApp,
    GitlabToken,
    HttpsToken,
    SshKey,
)
from danube_pkg.core.repositories.ports import ForgeApi
from danube_pkg.core.repositories.revisions import Credential
from danube_pkg.core.repositories.urls import same_repository, scheme_of
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import HIDDEN, Mutable, field
from danube_pkg.services.secrets import Secrets

RENEW_SECONDS = 300.0
"""A token that expires sooner is not used: a large fetch takes minutes."""

READ = {"contents": "read"}
STATUSES = {"statuses": "write"}


class _Token(Mutable):
    """A cached token. expires_at: in Unix seconds; made_from: its rule; lock: held while it is being requested."""

    value: Annotated[str, HIDDEN] = ""
    expires_at: float = 0.0
    made_from: object = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ConfiguredCredentials:
    """`core.repositories.ports.GitCredentials`. deploy_key: the file of the server's own ssh key."""

    def __init__(
        self,
        applied: AppliedConfiguration,
        repository: ConfigRepository,
        secrets: Secrets,
        forges: ForgeApi,
        clock: Clock,
        deploy_key: str,
    ) -> None:
        self._applied = applied
        self._repository = repository
        self._secrets = secrets
        self._forges = forges
        self._clock = clock
        self._deploy_key = deploy_key
        self._tokens: dict[tuple[str, str], _Token] = {}

    async def credential_for(self, repository: str) -> Credential:
        own = self._repository
        if own.token_secret and scheme_of(repository) in ("http", "https") and same_repository(repository, own.url):
            refuse_clear_text(repository, CONFIG_TOKEN)
            return Credential(CONFIG_TOKEN, own.username, await self._secret(own.token_secret, CONFIG_TOKEN))
        match rule_for(repository, self._applied.config.git_authentication):
            case GithubApp() as rule:
                return Credential(rule.name, "x-access-token", await self.app_token(rule, READ))
            case GitlabToken() as rule:
                return Credential(rule.name, "oauth2", await self._secret(rule.token_secret, rule.name))
            case HttpsToken() as rule:
                return Credential(rule.name, rule.username, await self._secret(rule.token_secret, rule.name))
            case SshKey(private_key_path=path) as rule if path:
                return Credential(rule.name, private_key_path=path)
            case SshKey() as rule:
                return Credential(rule.name, private_key=await self._secret(rule.private_key_secret, rule.name))
        if scheme_of(repository) == "ssh":
            return Credential(DEPLOY_KEY, private_key_path=self._deploy_key)
        return Credential()

    async def api_token(
        self, rule: GithubApp | GitlabToken | HttpsToken, permissions: Mapping[str, str] = STATUSES
    ) -> str:
        """The token for the forge's API. permissions: of a GitHub App's token; usually those for commit statuses."""
        if isinstance(rule, GithubApp):
            return await self.app_token(rule, permissions)
        return await self._secret(rule.token_secret, rule.name)

    async def app_token(self, app: GithubApp, permissions: Mapping[str, str]) -> str:
        """A token of the App's installation, valid for `RENEW_SECONDS` at least. Raises Permanent, Unavailable."""
        token = self._tokens.setdefault((app.name, ",".join(permissions)), _Token())
        async with token.lock:
            if token.made_from != app or token.expires_at < self._clock.now() + RENEW_SECONDS:
                key = await self._secret(app.private_key_secret, app.name)
                now = self._clock.now()
                jwt = self._forges.app_jwt(app.app_id, key.encode(), now)
                answer = await self._forges.post(installation_token_request(app, jwt, permissions))
                value, expires = answer.get("token"), answer.get("expires_at")
                if not isinstance(value, str) or not value:
                    raise Permanent(
                        "forge-refused", f"{app.api_url} returned no token", hint="check the installation's ID"
                    )
                await self._secrets.known.hold(f"token of {app.name}: {','.join(permissions)}", value.encode())
                token.value, token.expires_at, token.made_from = value, _seconds(expires, now), app
            return token.value

    async def _secret(self, key: str, rule: str) -> str:
        return (await self._secrets.read_for_server(key, rule)).decode("utf-8", "replace").strip()


def _seconds(text: object, now: float) -> float:
    """An ISO 8601 time in Unix seconds; `now` where the forge names no usable one, so that the token is used once."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return now
