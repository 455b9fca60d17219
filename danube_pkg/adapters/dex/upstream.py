"""A program of our own behind a path of ours, such as Dex: requests and answers go through as they are, bounded."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from danube_pkg.core.errors import Permanent, Unavailable

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_SECONDS = 30.0
ANSWER_BYTES = 4 * 1024**2
"""Dex's largest page has 50 KB, its fonts 200."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110 section 7.6.1, and what is made anew for the next hop."""


class HttpUpstream:
    """`core.identity.ports.UpstreamHttp` over one base URL; `own_cookies` are ours and do not go on. Close it after use."""

    def __init__(self, base_url: str, own_cookies: frozenset[str] = frozenset()) -> None:
        self._base_url = base_url.rstrip("/")
        self._own_cookies = own_cookies
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        import aiohttp
        from yarl import URL

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        url = URL(self._base_url + target, encoded=True)
        try:
            async with self._session.request(
                method, url, headers=self._passed_on(headers), data=body or None, allow_redirects=False
            ) as response:
                data = await response.content.readexactly(ANSWER_BYTES + 1)
                what = f"{url.path} answered with more than {len(data) - 1} bytes"
                raise Permanent(
                    "upstream-too-large", what, hint="check the login service: its output is in the server's log"
                )
        except asyncio.IncompleteReadError as error:
            kept = [
                (name.lower(), value) for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP
            ]
            return response.status, kept, error.partial
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(
                "upstream-unreachable",
                "the login service does not answer",
                cause=str(error) or type(error).__name__,
                hint="try again in a moment; danube config status shows whether it runs",
            ) from error

    def _passed_on(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
        if not kept.get("authorization", "Basic ").startswith("Basic "):
            del kept["authorization"]  # a token of ours; what a client of theirs proves itself with goes on
        cookies = [one.strip() for one in headers.get("cookie", "").split(";")]
        theirs = [one for one in cookies if one and one.partition("=")[0] not in self._own_cookies]
        kept.pop("cookie", None)
        return {**kept, "cookie": "; ".join(theirs)} if theirs else kept
