"""Reverse proxy to a program of the same machine, such as Dex: requests and responses pass unchanged, with bounds."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings, Trouble, no_proxy

TIMEOUT_SECONDS = 30.0
RESPONSE_BYTES = 4 * 1024**2
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
"""RFC 9110 section 7.6.1, and headers that the client writes itself."""


class HttpUpstream:
    """`core.identity.ports.UpstreamHttp` over one base URL. Close it after use.

    own_cookies: names of the server's own cookies, which are not forwarded.
    """

    def __init__(self, base_url: str, own_cookies: frozenset[str] = frozenset()) -> None:
        self._base_url = base_url.rstrip("/")
        self._own_cookies = own_cookies
        self._http = HttpClient(
            HttpSettings(
                "danube",
                total_seconds=TIMEOUT_SECONDS,
                body_bytes=RESPONSE_BYTES,
                decompress=False,
                proxy_of=no_proxy,
            )
        )

    async def close(self) -> None:
        await self._http.close()

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        try:
            response = await self._http.exchange(
                method, self._base_url + target, headers=self._forwarded(headers), body=body or None
            )
        except ExchangeFailed as error:
            if error.trouble is Trouble.TOO_LARGE:
                raise Permanent(
                    "upstream-too-large",
                    f"the login service's response at {urlsplit(target).path} is too large",
                    cause=str(error),
                    hint="check the login service: its output is in the server's log",
                ) from error
            raise Unavailable(
                "upstream-unreachable",
                "the login service does not answer",
                cause=str(error),
                hint="try again in a moment; danube config status shows whether it runs",
            ) from error
        return response.status, [one for one in response.headers if one[0] not in _HOP_BY_HOP], response.body

    def _forwarded(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
        if not kept.get("authorization", "Basic ").startswith("Basic "):
            del kept["authorization"]  # an API token of this server; Basic authenticates Dex's own clients
        cookies = [one.strip() for one in headers.get("cookie", "").split(";")]
        theirs = [one for one in cookies if one and one.partition("=")[0] not in self._own_cookies]
        kept.pop("cookie", None)
        return {**kept, "cookie": "; ".join(theirs)} if theirs else kept
