"""Secrets in a server with HashiCorp's KV engine, version 2, such as OpenBao.

Source: https://openbao.org/api-docs/auth/jwt/ and https://openbao.org/api-docs/secret/kv/kv-v2/. The login is by the
identity token of the job that reads: the server's policies decide by its claims, and Danube keeps no credential.
"""

import json
from collections.abc import Mapping
from typing import Any

from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.secrets.outside import VaultSettings
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings, WholeResponse

SECONDS = 10.0
"""Deadline of one request: both are answered from memory."""

BODY_BYTES = 4 * 1024**2
"""A folder of some dozens of the largest secrets."""


class VaultSecrets:
    """`core.secrets.outside.OutsideSecrets`. Close it after use."""

    def __init__(self, settings: VaultSettings, user_agent: str) -> None:
        self._settings = settings
        self._http = HttpClient(HttpSettings(user_agent, total_seconds=SECONDS, redirects=0, body_bytes=BODY_BYTES))

    @property
    def audience(self) -> str:
        return self._settings.audience or self._settings.url

    async def close(self) -> None:
        await self._http.close()

    async def read(self, name: SecretName, token: str) -> bytes | None:
        client = await self._login(token)
        folder = name.pipeline or "global"
        path = f"{self._settings.mount}/data/{self._settings.path}/{folder}"
        found = await self._exchange("GET", path, {"x-vault-token": client})
        if found.status == 404:
            return None
        if found.status != 200:
            raise self._refused(found, f"the secret {name} at {path}", "may its role read that path?")
        value = _object(_object(_document(found).get("data")).get("data")).get(name.key)
        if value is None:
            return None
        if not isinstance(value, str):
            what = f"the secret {name} in {self._settings.url} is not text"
            raise Permanent("secret-not-text", what, hint="write it as a string, binary data as base64")
        return value.encode()

    async def _login(self, token: str) -> str:
        """A client token for one read. Raises Unavailable, Permanent."""
        body = json.dumps({"role": self._settings.role, "jwt": token}).encode()
        found = await self._exchange("POST", f"auth/{self._settings.login}/login", {}, body)
        client = _object(_document(found).get("auth")).get("client_token") if found.status == 200 else None
        if not isinstance(client, str):
            what, hint = (
                f"the login as role {self._settings.role!r}",
                "does the role trust this server's issuer and audience?",
            )
            raise self._refused(found, what, hint)
        return client

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> WholeResponse:
        try:
            found = await self._http.exchange(method, f"{self._settings.url}/v1/{path}", headers=headers, body=body)
        except ExchangeFailed as error:
            raise self._unavailable(str(error)) from error
        if found.status >= 500 or found.status in (408, 429):
            raise self._unavailable(f"it answered {found.status} (sealed servers answer 503)")
        return found

    def _unavailable(self, cause: str) -> Unavailable:
        hint = f"check it: curl {self._settings.url}/v1/sys/health"
        return Unavailable("vault-unreachable", f"{self._settings.url} cannot be used now", cause=cause, hint=hint)

    def _refused(self, found: WholeResponse, what: str, hint: str) -> Permanent:
        errors = _document(found).get("errors")
        said = f": {'; '.join(map(str, errors))[:300]}" if isinstance(errors, list) and errors else ""
        cause = f"it answered {found.status}{said}"
        return Permanent("vault-refused", f"{self._settings.url} refuses {what}", cause=cause, hint=hint)


def _document(found: WholeResponse) -> Mapping[str, Any]:
    try:
        return _object(json.loads(found.body))
    except ValueError:
        return {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
