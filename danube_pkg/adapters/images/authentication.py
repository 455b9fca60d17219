"""What a registry wants to see before it gives an image: nothing, a password, or a token that another host gives for one.

The challenge is RFC 9110's `WWW-Authenticate`; tokens are those of https://distribution.github.io/distribution/spec/auth/token/.
"""

import base64
import json
import re
from urllib.parse import urlencode, urlsplit

from danube_pkg.adapters.images.exchanges import Exchanges
from danube_pkg.core.images.reference import ImageUnavailable
from danube_pkg.core.images.registries import RegistryCredentials, RegistryEndpoint
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record

TOKEN_SECONDS = 60.0
"""How long a token is good that does not say it."""

MARGIN_SECONDS = 10.0
"""A token that ends sooner is not used for another request."""

MAX_TOKEN_BYTES = 256 * 1024
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*"((?:[^"\\]|\\.)*)"|([A-Za-z_]+)\s*=\s*([^\s,"]+)')


class Challenge(Record):
    """scheme: `basic` or `bearer`. realm: where tokens are given."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def read_challenge(header: str) -> Challenge | None:
    """The first challenge that can be met; None where there is none."""
    scheme, _, rest = header.strip().partition(" ")
    found = {(name or bare).lower(): value or word for name, value, bare, word in _PARAMETER.findall(rest)}
    if scheme.lower() == "basic":
        return Challenge("basic")
    if scheme.lower() == "bearer" and found.get("realm"):
        return Challenge("bearer", found["realm"], found.get("service", ""), found.get("scope", ""))
    return None


class Authenticator:
    """Keeps what was given for one repository at one endpoint until it ends."""

    def __init__(self, exchanges: Exchanges, clock: Clock) -> None:
        self._exchanges = exchanges
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[str, float]] = {}

    def header(self, endpoint: RegistryEndpoint, repository: str) -> dict[str, str]:
        """What to send along, as far as it is known."""
        value, until = self._known.get((endpoint.url, repository), ("", 0.0))
        return {"Authorization": value} if until > self._clock.monotonic() else {}

    def forget(self, endpoint: RegistryEndpoint, repository: str) -> None:
        self._known.pop((endpoint.url, repository), None)

    async def answer(
        self, challenge: Challenge, endpoint: RegistryEndpoint, repository: str, credentials: RegistryCredentials | None
    ) -> bool:
        """Meet a challenge; False where there is nothing to meet it with. Raises Broken, ImageUnavailable."""
        if challenge.scheme == "basic":
            if credentials is None or not credentials.username:
                return False
            self._known[endpoint.url, repository] = (_basic(credentials), float("inf"))
            return True
        token, seconds = await self._token(challenge, endpoint, repository, credentials)
        if not token:
            return False
        until = self._clock.monotonic() + seconds - min(MARGIN_SECONDS, seconds / 2)
        self._known[endpoint.url, repository] = (f"Bearer {token}", until)
        return True

    async def _token(
        self, challenge: Challenge, endpoint: RegistryEndpoint, repository: str, credentials: RegistryCredentials | None
    ) -> tuple[str, float]:
        realm = urlsplit(challenge.realm)
        if realm.scheme != "https" and not endpoint.plain:
            raise ImageUnavailable(
                f"registry {endpoint.host} sends credentials to a place without TLS",
                cause=f"it wants a token from {challenge.realm}",
                hint="let the registry's token service be reached by https",
            )
        asked = {"service": challenge.service, "scope": challenge.scope or f"repository:{repository}:pull"}
        if credentials is not None and credentials.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": "danube"}
            request = self._exchanges.request("POST", challenge.realm, {}, form={**form, **asked})
        else:
            joined = "&" if realm.query else "?"
            headers = {"Authorization": _basic(credentials)} if credentials is not None else {}
            request = self._exchanges.request("GET", f"{challenge.realm}{joined}{urlencode(asked)}", headers)
        async with request as answer:
            data = await answer.text(MAX_TOKEN_BYTES)
            if answer.status != 200:
                return "", 0.0
        try:
            document = json.loads(data)
            token = document.get("token") or document.get("access_token") or ""
            return str(token), float(document.get("expires_in") or TOKEN_SECONDS)
        except (ValueError, AttributeError, TypeError) as error:
            raise ImageUnavailable(
                f"the token service of registry {endpoint.host} gave no token",
                cause="its answer is no JSON object",
                hint=f"look at what it says: curl {challenge.realm}",
            ) from error


def _basic(credentials: RegistryCredentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
