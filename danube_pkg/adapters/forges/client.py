"""HTTP to others' servers: one bounded POST, forges' APIs on top of it, and the token with which a GitHub App names itself.

Redirects are not followed, since they would carry a token elsewhere. aiohttp and joserfc are imported with the first
request: a server that tells nobody anything does not carry their weight.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from danube_pkg.core.errors import Invalid, Permanent, Unavailable
from danube_pkg.core.http_responses import refusal
from danube_pkg.core.notifications.ports import HttpAnswer
from danube_pkg.core.repositories.forges import ApiRequest

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 256 * 1024
"""A status's answer has 5 KB, a token's 2 KB."""

JWT_SECONDS = 540
"""GitHub takes at most ten minutes; the rest is for clocks that differ."""

CLOCK_SKEW_SECONDS = 60


class HttpForges:
    """`core.repositories.ports.ForgeApi` and `core.notifications.ports.OutboundHttp`. Close it after use."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, request: ApiRequest) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/json", **request.headers}
        body = json.dumps(dict(request.body)).encode()
        answer = await self._send("forge", request.url, request.url, headers, body)
        error = refusal(answer.status, answer.headers, answer.body, time.time(), name=request.url, kind="forge")
        if error is not None:
            raise error
        try:
            found = json.loads(answer.body or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    async def send(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        return await self._send("receiver", name, url, headers, body)

    async def _send(self, kind: str, name: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "danube"},
                trust_env=True,
            )
        try:
            async with self._session.post(url, data=body, headers=dict(headers), allow_redirects=False) as response:
                answered = {key.lower(): value for key, value in response.headers.items()}
                return HttpAnswer(response.status, answered, await _bounded(response, kind, name))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            cause = type(error).__name__ if url != name else str(error) or type(error).__name__
            raise Unavailable(
                f"{kind}-unreachable", f"{name} cannot be reached now", cause=cause, hint="try again"
            ) from error

    def app_jwt(self, app_id: str, private_key: bytes, now: float) -> str:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import RSAKey

        claims = {"iat": int(now) - CLOCK_SKEW_SECONDS, "exp": int(now) + JWT_SECONDS, "iss": app_id}
        try:
            key = RSAKey.import_key(private_key.decode("ascii"))
            return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key, algorithms=["RS256"])
        except (JoseError, ValueError, TypeError) as error:
            raise Invalid(
                "app-key-invalid",
                f"the private key of the GitHub App {app_id} is no RSA key in PEM",
                cause=type(error).__name__,
                hint="set the secret again with the file that GitHub made: danube secrets set NAME < key.pem",
            ) from error


async def _bounded(response: "aiohttp.ClientResponse", kind: str, name: str) -> bytes:
    try:
        data = await response.content.readexactly(ANSWER_BYTES + 1)
    except asyncio.IncompleteReadError as error:
        return error.partial
    what = f"{name} answered with more than {len(data) - 1} bytes"
    raise Permanent(f"{kind}-refused", what, hint="check that its URL is the address of its API, not of a page")
