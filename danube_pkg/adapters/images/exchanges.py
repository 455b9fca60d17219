"""One request to a registry, or to whom it redirects: aiohttp behind words of our own. Imported when the first image is pulled.

A connection that fails is `Broken` (try again), one that can never work is an ImageUnavailable with what mends it.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from danube_pkg.core.images.reference import ImageUnavailable

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""Between two pieces of an answer; a registry that fetches a layer from elsewhere may need some."""

MAX_REDIRECTS = 5
CONNECTIONS_OF_A_HOST = 6
READ_BYTES = 1024**2

ProxyOf = Callable[[str], str | None]
"""The proxy for a URL, or None for a direct connection."""


class Broken(Exception):
    """A connection that failed on its way: trying again may help, unless `error` says why it will not do so soon."""

    def __init__(self, cause: str, error: ImageUnavailable | None = None) -> None:
        super().__init__(cause)
        self.error = error


class _Resolver(ThreadedResolver):
    """This machine's, after the names that `danube.toml` leads elsewhere."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        super().__init__()
        self._hosts = hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(self._hosts.get(host, host), port, family)
        return [{**one, "hostname": host} for one in found]


class Exchanges:
    """A pool of connections. `close` ends it. hosts: names with the address that they have here."""

    def __init__(self, proxy_of: ProxyOf, agent: str, hosts: Mapping[str, str]) -> None:
        self._proxy_of = proxy_of
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit_per_host=CONNECTIONS_OF_A_HOST, resolver=_Resolver(hosts)),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator["RegistryAnswer"]:
        """The answer behind all redirects. Credentials go to the first host only, and never from https to http.

        seconds: of the whole exchange. Raises Broken, ImageUnavailable.
        """
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        sent = dict(headers)
        async with contextlib.AsyncExitStack() as stack:
            with _translated(url):
                for _ in range(MAX_REDIRECTS):
                    asked = self._session.request(
                        method, url, headers=sent, data=form, allow_redirects=False, timeout=timeout,
                        proxy=self._proxy_of(url),
                    )  # fmt: skip
                    response = await stack.enter_async_context(asked)
                    target = response.headers.get("Location", "")
                    if response.status not in (301, 302, 303, 307, 308) or not target:
                        break
                    url = _next(url, target, sent)
                else:
                    raise Broken(f"{urlsplit(url).netloc} redirects more than {MAX_REDIRECTS} times")
            yield RegistryAnswer(response, url)

    async def close(self) -> None:
        await self._session.close()


def _next(url: str, target: str, headers: dict[str, str]) -> str:
    found = urljoin(url, target)
    before, after = urlsplit(url), urlsplit(found)
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise ImageUnavailable(
            f"registry {before.netloc} redirects to a place without TLS",
            cause=f"{after.scheme}://{after.netloc}",
            hint="let the registry's storage be reached by https",
        )
    if (before.scheme, before.netloc) != (after.scheme, after.netloc):
        headers.pop("Authorization", None)
    return found


class RegistryAnswer:
    """Status and headers, then the body in pieces."""

    def __init__(self, response: aiohttp.ClientResponse, url: str) -> None:
        self._response = response
        self._url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """The next piece as it came, b"" at the end. Raises Broken when the end comes early."""
        with _translated(self._url):
            return await self._response.content.readany()

    async def text(self, limit_bytes: int) -> bytes:
        """The whole body, or its beginning where it is larger."""
        parts, size = [], 0
        while size <= limit_bytes and (data := await self.read()):
            parts.append(data)
            size += len(data)
        return b"".join(parts)[: limit_bytes + 1]


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    host = urlsplit(url).netloc
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise ImageUnavailable(
            f"registry {host} shows a certificate that this machine does not trust",
            cause=str(error.certificate_error),
            hint="add its authority to this machine: update-ca-certificates",
        ) from error
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise ImageUnavailable(
            f"registry {host} does not speak TLS",
            cause=str(error),
            hint=f"if it is meant to be reached by plain http, say so in config.yaml: registries: [{{host: {host}, insecure: true}}]",
        ) from error
    except aiohttp.ClientConnectorDNSError as error:
        if isinstance(error.os_error, socket.gaierror) and error.os_error.errno == socket.EAI_AGAIN:
            raise Broken(f"the name {host} could not be looked up: {error.os_error.strerror}") from error
        raise Broken(str(error.os_error), _unknown(host, error)) from error
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno  # asyncio's own words name the call that failed
        raise Broken(os.strerror(number) if number else str(error.os_error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Broken(str(error) or type(error).__name__) from error


def _unknown(host: str, error: aiohttp.ClientConnectorError) -> ImageUnavailable:
    return ImageUnavailable(
        f"there is no host {host}",
        cause=error.os_error.strerror or str(error.os_error),
        hint="check the image's name; without a network, load images from files: danube image load FILE",
    )
