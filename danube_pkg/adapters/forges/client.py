"""HTTP client for forges' APIs and notification receivers, and the signed token with which a GitHub App authenticates.

A redirect is followed within its origin only, where a forge sends requests about a renamed repository: another server
must not get the token. Those of receivers are not followed.
"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from danube_pkg.core.errors import Invalid, Permanent, Unavailable
from danube_pkg.core.http_responses import refusal
from danube_pkg.core.notifications.ports import HttpAnswer
from danube_pkg.core.repositories.forges import ApiRequest
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings, Trouble

JWT_SECONDS = 540
"""GitHub accepts at most ten minutes; the rest is for clocks that differ."""

CLOCK_SKEW_SECONDS = 60

REDIRECTS = (301, 302, 307, 308)
"""After these the same request is sent again: forges use all of them for a repository that was renamed."""

MAX_REDIRECTS = 3
"""A repository that was renamed several times is redirected once by every forge; more is a loop."""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


class HttpForges:
    """`core.repositories.ports.ForgeApi` and `core.notifications.ports.OutboundHttp`. Close it after use."""

    def __init__(self) -> None:
        self._http = HttpClient(HttpSettings("danube"))

    async def close(self) -> None:
        await self._http.close()

    async def post(self, request: ApiRequest) -> Mapping[str, Any]:
        found = await self.call(request)
        return found if isinstance(found, dict) else {}

    async def call(self, request: ApiRequest) -> object:
        headers = {"Content-Type": "application/json", **request.headers}
        body = json.dumps(dict(request.body)).encode() if request.method != "GET" else None
        url = request.url
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send("forge", url, url, headers, body, request.method)
            target = urljoin(url, answer.headers.get("location", "")) if answer.status in REDIRECTS else url
            if target == url or _origin(target) != _origin(url):
                break
            url = target
        error = refusal(answer.status, answer.headers, answer.body, time.time(), name=url, kind="forge")
        if error is not None:
            raise error
        try:
            found: object = json.loads(answer.body or b"null")
        except (ValueError, RecursionError):
            return None
        return found

    async def send(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        return await self._send("receiver", name, url, headers, body)

    async def _send(
        self, kind: str, name: str, url: str, headers: Mapping[str, str], body: bytes | None, method: str = "POST"
    ) -> HttpAnswer:
        try:
            response = await self._http.exchange(method, url, headers=headers, body=body)
        except ExchangeFailed as error:
            if error.trouble is Trouble.TOO_LARGE:
                raise Permanent(
                    f"{kind}-refused",
                    f"{name} cannot be used: {error}",
                    hint="check that its URL is the address of its API, not of a page",
                ) from error
            cause = str(error.trouble if url != name else error)  # the text of an error may contain a secret URL
            raise Unavailable(
                f"{kind}-unreachable", f"{name} cannot be reached now", cause=cause, hint="it is retried"
            ) from error
        return HttpAnswer(response.status, dict(response.headers), response.body)

    def app_jwt(self, app_id: str, private_key: bytes, now: float) -> str:
        from joserfc import jwt  # 200 ms, and only a GitHub App needs it
        from joserfc.errors import JoseError
        from joserfc.jwk import RSAKey

        claims = {"iat": int(now) - CLOCK_SKEW_SECONDS, "exp": int(now) + JWT_SECONDS, "iss": app_id}
        try:
            key = RSAKey.import_key(private_key.decode("ascii"))
            return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key, algorithms=["RS256"])
        except (JoseError, ValueError, TypeError) as error:
            raise Invalid(
                "app-key-invalid",
                f"the private key of the GitHub App {app_id} is not an RSA key in PEM format",
                cause=type(error).__name__,
                hint="set the secret again with the file that GitHub made: danube secrets set NAME < key.pem",
            ) from error
