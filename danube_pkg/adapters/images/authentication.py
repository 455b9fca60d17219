"""Authentication at registries: none, a password, or a token that a token service issues.

A registry's challenge is the header `WWW-Authenticate` of RFC 9110; tokens are those of
https://distribution.github.io/distribution/spec/auth/token/.
"""

import base64
import json
import re
from urllib.parse import urlencode, urlsplit

from danube_pkg.core.images.reference import ImageUnavailable
from danube_pkg.core.images.registries import RegistryCredentials, RegistryEndpoint
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.http_client import HttpClient
from danube_pkg.kit.records import Record

TOKEN_SECONDS = 60.0
"""Lifetime of a token without `expires_in`."""

MARGIN_SECONDS = 10.0
"""A token that expires sooner is not used for another request."""

MAX_TOKEN_BYTES = 256 * 1024
MAX_AUTHORIZATIONS = 1000
"""Repositories whose headers are kept; above it the oldest is requested again."""

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*"((?:[^"\\]|\\.)*)"|([A-Za-z_]+)\s*=\s*([^\s,"]+)')


class Challenge(Record):
    """scheme: `basic` or `bearer`. realm: the URL of the token service."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def read_challenge(header: str) -> Challenge | None:
    """The challenge of a header; None if its scheme is not supported."""
    scheme, _, rest = header.strip().partition(" ")
    found = {(name or bare).lower(): value or word for name, value, bare, word in _PARAMETER.findall(rest)}
    if scheme.lower() == "basic":
        return Challenge("basic")
    if scheme.lower() == "bearer" and found.get("realm"):
        return Challenge("bearer", found["realm"], found.get("service", ""), found.get("scope", ""))
    return None


class Authorizations:
    """Authorization headers by endpoint and repository until they expire, for all clients of a process."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, float]] = {}

    def get(self, endpoint: RegistryEndpoint, repository: str, now: float) -> str:
        """The header's value; "" if there is none."""
        value, until = self._known.get((endpoint.url, repository), ("", 0.0))
        return value if until > now else ""

    def put(self, endpoint: RegistryEndpoint, repository: str, value: str, until: float) -> None:
        self.forget(endpoint, repository)
        if len(self._known) >= MAX_AUTHORIZATIONS:
            del self._known[next(iter(self._known))]
        self._known[endpoint.url, repository] = (value, until)

    def forget(self, endpoint: RegistryEndpoint, repository: str) -> None:
        self._known.pop((endpoint.url, repository), None)


class Authenticator:
    """Answers challenges, and keeps the Authorization headers."""

    def __init__(self, http: HttpClient, clock: Clock, known: Authorizations) -> None:
        self._http = http
        self._clock = clock
        self._known = known

    def header(self, endpoint: RegistryEndpoint, repository: str) -> dict[str, str]:
        """The cached Authorization header; empty if there is none."""
        value = self._known.get(endpoint, repository, self._clock.monotonic())
        return {"Authorization": value} if value else {}

    def forget(self, endpoint: RegistryEndpoint, repository: str) -> None:
        self._known.forget(endpoint, repository)

    async def answer(
        self, challenge: Challenge, endpoint: RegistryEndpoint, repository: str, credentials: RegistryCredentials | None
    ) -> bool:
        """Whether a challenge could be answered; `header` has the result. Raises ExchangeFailed, ImageUnavailable."""
        if challenge.scheme == "basic":
            if credentials is None or not credentials.username:
                return False
            self._known.put(endpoint, repository, _basic(credentials), float("inf"))
            return True
        token, seconds = await self._token(challenge, endpoint, repository, credentials)
        if not token:
            return False
        until = self._clock.monotonic() + seconds - min(MARGIN_SECONDS, seconds / 2)
        self._known.put(endpoint, repository, f"Bearer {token}", until)
        return True

    async def _token(
        self, challenge: Challenge, endpoint: RegistryEndpoint, repository: str, credentials: RegistryCredentials | None
    ) -> tuple[str, float]:
        try:
            realm = urlsplit(challenge.realm)
        except ValueError as error:
            raise ImageUnavailable(
                f"registry {endpoint.host} has a token service without a usable address",
                cause=f"its challenge names {challenge.realm}: {error}",
                hint="correct the registry's configuration",
            ) from error
        if realm.scheme != "https" and not endpoint.plain:
            raise ImageUnavailable(
                f"registry {endpoint.host} has a token service without TLS",
                cause=f"its challenge names {challenge.realm}",
                hint="make the registry's token service reachable by https",
            )
        query = {"service": challenge.service, "scope": challenge.scope or f"repository:{repository}:pull"}
        if credentials is not None and credentials.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": "danube"}
            request = self._http.stream("POST", challenge.realm, form={**form, **query})
        else:
            joined = "&" if realm.query else "?"
            headers = {"Authorization": _basic(credentials)} if credentials is not None else {}
            request = self._http.stream("GET", f"{challenge.realm}{joined}{urlencode(query)}", headers=headers)
        async with request as response:
            data = await response.whole(MAX_TOKEN_BYTES, cut=True)
            if response.status != 200:
                return "", 0.0
        try:
            document = json.loads(data)
            token = document.get("token") or document.get("access_token") or ""
            return str(token), float(document.get("expires_in") or TOKEN_SECONDS)
        except (ValueError, AttributeError, TypeError) as error:
            raise ImageUnavailable(
                f"the token service of registry {endpoint.host} issued no token",
                cause="its response is not a JSON object",
                hint=f"see its response: curl {challenge.realm}",
            ) from error


def _basic(credentials: RegistryCredentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
