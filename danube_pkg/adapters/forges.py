"""Forges' APIs over HTTP: one bounded POST of JSON, and the token with which a GitHub App names itself (RS256).

Redirects are not followed, since they would carry a token elsewhere. aiohttp and joserfc are imported with the first
request: a server without a forge does not carry their weight.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from danube_pkg.core.errors import Invalid, Permanent, Unavailable
from danube_pkg.core.forges import ApiRequest

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 256 * 1024
"""A status's answer has 5 KB, a token's 2 KB."""

JWT_SECONDS = 540
"""GitHub takes at most ten minutes; the rest is for clocks that differ."""

CLOCK_SKEW_SECONDS = 60


class HttpForges:
    """`core.source_ports.ForgeApi`. Close it after use."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, request: ApiRequest) -> Mapping[str, Any]:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "danube"},
                trust_env=True,
            )
        try:
            async with self._session.post(
                request.url, json=dict(request.body), headers=dict(request.headers), allow_redirects=False
            ) as response:
                return _answer(request.url, response.status, await _bounded(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                "forge-unreachable",
                f"{request.url} cannot be reached now",
                cause=str(error) or type(error).__name__,
                hint="try again",
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


async def _bounded(response: "aiohttp.ClientResponse") -> bytes:
    try:
        data = await response.content.readexactly(ANSWER_BYTES + 1)
    except asyncio.IncompleteReadError as error:
        return error.partial
    raise Permanent("forge-refused", f"{response.url} answered with more than {len(data) - 1} bytes")


def _answer(url: str, status: int, data: bytes) -> Mapping[str, Any]:
    """The object; refusals by their kind. What the forge says is quoted, what was asked is not."""
    said = data.decode("utf-8", "replace")
    try:
        found = json.loads(said or "{}")
    except ValueError:
        found = {}
    message = str(found.get("message") or found.get("error") or said)[:300] if isinstance(found, dict) else said[:300]
    cause = f"it answered {status}: {message}"
    if status in (408, 429) or status >= 500:
        raise Unavailable("forge-unreachable", f"{url} refused for now", cause=cause, hint="try again")
    if not 200 <= status < 300:
        hint = "check the credential and what it may do" if status in (401, 403, 404, 422) else "check the URL"
        raise Permanent("forge-refused", f"{url} refused", cause=cause, hint=hint)
    return found if isinstance(found, dict) else {}
