"""HTTP client for requests to other servers, with one policy for limits, redirects, proxies and credentials.

Bodies are bounded and exchanges have a deadline. Redirects are followed only if the settings allow it; cookies are
never kept and `~/.netrc` is never read. The proxy is a function of the URL, by default that of the environment
variables.

aiohttp takes 14 MB and 200 ms to load, so it is imported in a thread with the first request.
"""

import asyncio
import contextlib
import enum
import importlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urljoin, urlsplit

from danube_pkg.kit.guard import Guard
from danube_pkg.kit.records import HIDDEN, Record, field

if TYPE_CHECKING:
    import aiohttp

ProxyOf = Callable[[str], str | None]
"""The proxy for a URL, or None for a direct connection."""

_REDIRECTS = (301, 302, 303, 307, 308)


def environment_proxy(url: str) -> str | None:
    """The proxy by the environment variables http_proxy, https_proxy and no_proxy, in lower or upper case."""
    from urllib.request import getproxies, proxy_bypass  # 60 ms, and only requests need it

    parts = urlsplit(url)
    return None if proxy_bypass(_host_and_port(url)) else getproxies().get(parts.scheme)


def no_proxy(url: str) -> str | None:
    """Always a direct connection: for servers on this machine."""
    return None


class Trouble(enum.Enum):
    """Why a request got no usable response."""

    URL_INVALID = enum.auto()
    NAME_UNKNOWN = enum.auto()
    NAME_UNRESOLVED = enum.auto()  # a temporary failure of the resolver
    ADDRESS_REFUSED = enum.auto()  # by `allows_address` or the guard
    NOT_REACHED = enum.auto()
    CERTIFICATE = enum.auto()
    TLS = enum.auto()
    TIMEOUT = enum.auto()
    BROKEN = enum.auto()  # the response ended early, or is not HTTP
    TOO_LARGE = enum.auto()
    REDIRECT_INSECURE = enum.auto()  # from https to http, or to another scheme
    TOO_MANY_REDIRECTS = enum.auto()

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later without any change."""
        return self in (Trouble.NAME_UNRESOLVED, Trouble.NOT_REACHED, Trouble.TIMEOUT, Trouble.BROKEN)

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class ExchangeFailed(Exception):
    """A request without a usable response. url: the one that failed (maybe after redirects), without user and password.

    str() is the cause for users. It may contain parts of the URL.
    """

    def __init__(self, trouble: Trouble, url: str, cause: str) -> None:
        super().__init__(cause)
        self.trouble = trouble
        self.url = urlsplit(url)._replace(netloc=_host_and_port(url)).geturl()

    @property
    def host(self) -> str:
        """Host and port of the URL that failed."""
        return urlsplit(self.url).netloc


class HttpSettings(Record):
    """The policy of a client.

    total_seconds: deadline of an exchange with its body; None for no bound. silence_seconds: longest pause between two
    pieces of a response. body_bytes: bound of a body that is read whole. redirects: how many are followed; never from
    https to http, and Authorization is sent to the first origin only. decompress: whether bodies are decoded.
    connections_per_host: 0 for no bound. buffer_bytes: how much of a body is read ahead. hosts: IP address by host
    name, in place of the resolver's. allows_address: called with each IP address before a connection to it, proxies
    included. guard: decides about each target and its addresses; proxies are not its matter.
    """

    user_agent: str
    total_seconds: float | None = 10.0
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    body_bytes: int = 256 * 1024
    redirects: int = 0
    decompress: bool = True
    connections_per_host: int = 0
    buffer_bytes: int = 64 * 1024
    proxy_of: ProxyOf = environment_proxy
    hosts: Mapping[str, str] = field(default_factory=dict)
    allows_address: Callable[[str], bool] | None = None
    guard: Guard | None = None


class WholeResponse(Record):
    """A response with its body. headers: (name, value) in the order of the response, names in lower case."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: Annotated[bytes, HIDDEN]


class StreamedResponse:
    """Status and headers of a response whose body is read in pieces."""

    def __init__(self, response: "aiohttp.ClientResponse", url: str) -> None:
        self._response = response
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # names are found in any case

    async def read(self) -> bytes:
        """The next piece as it was received, b"" at the end. Raises ExchangeFailed if the body ends early."""
        with _translated(self.url):
            return await self._response.content.readany()

    async def whole(self, limit_bytes: int, *, cut: bool = False) -> bytes:
        """The body. If it is larger than the limit: ExchangeFailed, or with `cut` its first `limit_bytes` bytes."""
        parts, size = [], 0
        while size <= limit_bytes and (data := await self.read()):
            parts.append(data)
            size += len(data)
        if size > limit_bytes and not cut:
            raise ExchangeFailed(Trouble.TOO_LARGE, self.url, f"the response has more than {limit_bytes} bytes")
        return b"".join(parts)[:limit_bytes]


class HttpClient:
    """Sends requests with one policy, over a pool of connections. Close it after use."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._proxies: set[tuple[str, int]] = set()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        form: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> WholeResponse:
        """One request; the response is returned with any status. Raises ExchangeFailed.

        form: sent as application/x-www-form-urlencoded, in place of `body`. seconds: in place of the settings'
        total_seconds.
        """
        async with self.stream(method, url, headers=headers, body=body, form=form, seconds=seconds) as response:
            data = await response.whole(self._settings.body_bytes)
            received = [(key.lower(), value) for key, value in response.headers.items()]
            return WholeResponse(response.status, received, data)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        form: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """As `exchange`, with a body that is not read yet. Redirects have been followed. Raises ExchangeFailed."""
        session = await self._open()
        sent, timeout = dict(headers or {}), self._timeout(seconds)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(self._settings.redirects + 1):
                proxy = self._checked(url)
                with _translated(url):
                    response = await stack.enter_async_context(
                        session.request(
                            method,
                            _url(url),
                            headers=sent,
                            data=body if form is None else form,
                            allow_redirects=False,
                            timeout=timeout,
                            proxy=proxy,
                        )
                    )
                target = response.headers.get("Location", "")
                if response.status not in _REDIRECTS or not target or not self._settings.redirects:
                    break
                url = _next(url, target, sent)
            else:
                raise ExchangeFailed(
                    Trouble.TOO_MANY_REDIRECTS, url, f"it redirects more than {self._settings.redirects} times"
                )
            yield StreamedResponse(response, url)

    def _checked(self, url: str) -> str | None:
        """The proxy for a URL whose target is allowed. Raises ExchangeFailed."""
        if not _is_url(url):
            raise ExchangeFailed(Trouble.URL_INVALID, "", "it is not a URL")
        proxy = self._settings.proxy_of(url)
        if proxy is not None:
            self._proxies.add(_target_of(proxy))
        guard = self._settings.guard
        if guard is not None and not guard.allows_target(*_target_of(url), proxied=proxy is not None):
            raise ExchangeFailed(Trouble.ADDRESS_REFUSED, url, "connections to it are not allowed")
        return proxy

    def _timeout(self, seconds: float | None) -> "aiohttp.ClientTimeout":
        import aiohttp  # loaded already; see _open

        settings = self._settings
        return aiohttp.ClientTimeout(
            total=seconds if seconds is not None else settings.total_seconds,
            sock_connect=settings.connect_seconds,
            sock_read=settings.silence_seconds,
        )

    async def _open(self) -> "aiohttp.ClientSession":
        if self._session is None:
            await asyncio.to_thread(importlib.import_module, "aiohttp")
        if self._session is None:  # another request may have opened it meanwhile
            self._session = _new_session(self._settings, self._proxies)
        return self._session


def _new_session(settings: HttpSettings, proxies: set[tuple[str, int]]) -> "aiohttp.ClientSession":
    """proxies: host and port of those in use, which the guard does not decide about."""
    import aiohttp  # loaded already; see HttpClient._open

    identity = {} if settings.decompress else {"Accept-Encoding": "identity"}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit_per_host=settings.connections_per_host,
            resolver=_resolver(settings.hosts, settings.guard, proxies),
            socket_factory=_socket_factory(settings.allows_address),
        ),
        headers={"User-Agent": settings.user_agent, **identity},
        auto_decompress=settings.decompress,
        read_bufsize=settings.buffer_bytes,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # it would also send what ~/.netrc has for a host
    )


class AddressRefused(OSError):
    """An IP address that `allows_address` refuses."""


def _socket_factory(allows: Callable[[str], bool] | None) -> Callable[[Any], socket.socket]:
    def new_socket(address_info: Any) -> socket.socket:
        family, kind, protocol, _, address = address_info
        if allows is not None and not allows(str(address[0])):
            # One text for all addresses of a name: aiohttp raises an error as it is only if all have the same text.
            raise AddressRefused("connections to its address are not allowed")
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        return connection

    return new_socket


def _resolver(hosts: Mapping[str, str], guard: Guard | None, proxies: set[tuple[str, int]]) -> Any:
    from aiohttp.resolver import ThreadedResolver  # loaded already; see HttpClient._open

    class Resolver(ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
            found = await super().resolve(hosts.get(host, host), port, family)
            if guard is not None and (host, port) not in proxies:
                allowed = guard.allowed_addresses(host, port, [one["host"] for one in found])
                found = [one for one in found if one["host"] in allowed]
                if not found:
                    raise AddressRefused("connections to its address are not allowed")
            return [{**one, "hostname": host} for one in found]

    return Resolver()


def _url(url: str) -> Any:
    from yarl import URL  # loaded by aiohttp; see HttpClient._open

    return URL(url, encoded=True)  # signatures and paths are not normalised


def _is_url(url: str) -> bool:
    """Whether a URL can be taken apart. One with an unpaired bracket, or an address that is none, cannot."""
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _target_of(url: str) -> tuple[str, int]:
    """Host and port of a URL; port 0, which nothing allows, for a port that is not a number."""
    parts = urlsplit(url)
    try:
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return parts.hostname or "", 0


def _host_and_port(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _next(url: str, target: str, headers: dict[str, str]) -> str:
    """The URL after a redirect. Credentials are removed from the headers if it is of another origin."""
    if not _is_url(target):
        raise ExchangeFailed(Trouble.URL_INVALID, url, "it redirects to what is not a URL")
    found = urljoin(url, target)
    before, after = urlsplit(url), urlsplit(found)
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise ExchangeFailed(
            Trouble.REDIRECT_INSECURE, url, f"it redirects to {after.scheme}://{_host_and_port(found)}"
        )
    if (before.scheme, before.netloc) != (after.scheme, after.netloc):
        for name in [one for one in headers if one.lower() in ("authorization", "cookie")]:
            del headers[name]
    return found


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    import aiohttp  # loaded already; see HttpClient._open

    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise ExchangeFailed(Trouble.CERTIFICATE, url, str(error.certificate_error)) from error
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise ExchangeFailed(Trouble.TLS, url, str(error)) from error
    except aiohttp.ClientConnectorDNSError as error:
        if isinstance(error.os_error, AddressRefused):
            raise ExchangeFailed(Trouble.ADDRESS_REFUSED, url, str(error.os_error)) from error
        temporary = isinstance(error.os_error, socket.gaierror) and error.os_error.errno == socket.EAI_AGAIN
        trouble = Trouble.NAME_UNRESOLVED if temporary else Trouble.NAME_UNKNOWN
        raise ExchangeFailed(trouble, url, error.os_error.strerror or str(error.os_error)) from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, AddressRefused):
            raise ExchangeFailed(Trouble.ADDRESS_REFUSED, url, str(error.os_error)) from error
        number = error.os_error.errno  # asyncio's own text names the system call
        raise ExchangeFailed(
            Trouble.NOT_REACHED, url, os.strerror(number) if number else str(error.os_error)
        ) from error
    except (aiohttp.InvalidURL, ValueError) as error:
        raise ExchangeFailed(Trouble.URL_INVALID, url, str(error) or type(error).__name__) from error
    except TimeoutError as error:
        raise ExchangeFailed(Trouble.TIMEOUT, url, str(error) or "it did not answer in time") from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise ExchangeFailed(Trouble.BROKEN, url, str(error) or type(error).__name__) from error
