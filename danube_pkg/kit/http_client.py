"""HTTP to other servers: one policy for what every exchange may cost and where it may lead.

A body has a bound, an exchange a deadline, no redirect is followed and no cookie kept unless the settings say so. The proxy
comes from a function of the URL, by default the environment's; `~/.netrc` is never read. aiohttp takes 14 MB and a fifth of
a second to load, so it is imported with the first exchange.
"""

import asyncio
import contextlib
import enum
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import aiohttp

ProxyOf = Callable[[str], str | None]
"""The proxy for a URL, or None for a direct connection."""

_REDIRECTS = (301, 302, 303, 307, 308)


def environment_proxy(url: str) -> str | None:
    """As http_proxy, https_proxy and no_proxy say, in either case."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def no_proxy(url: str) -> str | None:
    """Always direct: for servers of this machine."""
    return None


class Trouble(enum.Enum):
    """Why there is no answer."""

    URL_INVALID = enum.auto()
    NAME_UNKNOWN = enum.auto()
    NAME_UNRESOLVED = enum.auto()  # the resolver fails for now
    ADDRESS_REFUSED = enum.auto()  # by `allows_address`
    NOT_REACHED = enum.auto()
    CERTIFICATE = enum.auto()
    TLS = enum.auto()
    TIMEOUT = enum.auto()
    BROKEN = enum.auto()  # the answer ended early, or is not HTTP
    TOO_LARGE = enum.auto()
    REDIRECT_INSECURE = enum.auto()  # from https to http
    TOO_MANY_REDIRECTS = enum.auto()

    @property
    def may_pass(self) -> bool:
        """Whether the same exchange may succeed later without a change of anything."""
        return self in (Trouble.NAME_UNRESOLVED, Trouble.NOT_REACHED, Trouble.TIMEOUT, Trouble.BROKEN)


class ExchangeFailed(Exception):
    """No usable answer. url: the one that failed, without its user part; str(): the cause in words."""

    def __init__(self, trouble: Trouble, url: str, cause: str) -> None:
        super().__init__(cause)
        self.trouble = trouble
        self.url = url


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """total_seconds: of an exchange with its body, None for no bound; silence_seconds: between two pieces of an answer.

    body_bytes: of an answer that is read whole. redirects: how many are followed; never from https to http, and
    Authorization goes to the first origin only. decompress: whether bodies are decoded. hosts: names with the address that
    they have here. allows_address: asked with each IP address before it is connected to, proxies included.
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


@dataclass(frozen=True, slots=True)
class Answer:
    """headers: in the order in which they came, names in lower case."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class StreamedAnswer:
    """Status and headers, then the body in pieces."""

    def __init__(self, response: "aiohttp.ClientResponse", url: str) -> None:
        self._response = response
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # names in any case

    async def read(self) -> bytes:
        """The next piece as it came, b"" at the end. Raises ExchangeFailed when the end comes early."""
        with _translated(self.url):
            return await self._response.content.readany()

    async def whole(self, limit_bytes: int, *, cut: bool = False) -> bytes:
        """The body. One that is larger raises ExchangeFailed, or is cut to the limit (`cut`)."""
        parts, size = [], 0
        while size <= limit_bytes and (data := await self.read()):
            parts.append(data)
            size += len(data)
        if size > limit_bytes and not cut:
            raise ExchangeFailed(Trouble.TOO_LARGE, self.url, f"it answered with more than {limit_bytes} bytes")
        return b"".join(parts)[:limit_bytes]


class HttpClient:
    """A pool of connections with one policy. Close it after use."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

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
        limit_bytes: int | None = None,
    ) -> Answer:
        """The whole answer, whatever its status. seconds, limit_bytes: in place of the settings'. Raises ExchangeFailed."""
        async with self.stream(method, url, headers=headers, body=body, form=form, seconds=seconds) as answer:
            data = await answer.whole(limit_bytes or self._settings.body_bytes)
            return Answer(answer.status, [(key.lower(), value) for key, value in answer.headers.items()], data)

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
    ) -> AsyncIterator[StreamedAnswer]:
        """The answer, behind redirects where they are followed, with its body to be read. Raises ExchangeFailed."""
        session = self._open()
        sent, timeout = dict(headers or {}), self._timeout(seconds)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(self._settings.redirects + 1):
                with _translated(url):
                    response = await stack.enter_async_context(
                        session.request(
                            method,
                            _url(url),
                            headers=sent,
                            data=body if form is None else form,
                            allow_redirects=False,
                            timeout=timeout,
                            proxy=self._settings.proxy_of(url),
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
            yield StreamedAnswer(response, url)

    def _timeout(self, seconds: float | None) -> "aiohttp.ClientTimeout":
        import aiohttp

        of = self._settings
        total = seconds if seconds is not None else of.total_seconds
        return aiohttp.ClientTimeout(total=total, sock_connect=of.connect_seconds, sock_read=of.silence_seconds)

    def _open(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            of = self._settings
            connector = aiohttp.TCPConnector(
                limit_per_host=of.connections_per_host,
                resolver=_resolver(of.hosts),
                socket_factory=_socket_factory(of.allows_address),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": of.user_agent, **({} if of.decompress else {"Accept-Encoding": "identity"})},
                auto_decompress=of.decompress,
                read_bufsize=of.buffer_bytes,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # it would also send what ~/.netrc has for a host
            )
        return self._session


def pause_asked_for(header: str, now: float, *, most: float) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 section 10.2.3), at most so many; None where it has none that can be read.

    now: Unix seconds.
    """
    if header.isascii() and header.isdigit() and len(header) < 10:
        return min(float(header), most)
    try:
        return min(max(0.0, parsedate_to_datetime(header).timestamp() - now), most)
    except (ValueError, OverflowError):
        return None


class AddressRefused(OSError):
    """An address that the settings do not allow."""


def _socket_factory(allows: Callable[[str], bool] | None) -> Callable[[Any], socket.socket]:
    def make(address: Any) -> socket.socket:
        family, kind, protocol, _, place = address
        if allows is not None and not allows(str(place[0])):
            raise AddressRefused(f"{place[0]} is not connected to")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


def _resolver(hosts: Mapping[str, str]) -> Any:
    from aiohttp.resolver import ThreadedResolver

    class Resolver(ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
            found = await super().resolve(hosts.get(host, host), port, family)
            return [{**one, "hostname": host} for one in found]

    return Resolver()


def _url(url: str) -> Any:
    from yarl import URL

    return URL(url, encoded=True)  # as it was given: signatures and paths are not normalised


def _next(url: str, target: str, headers: dict[str, str]) -> str:
    found = urljoin(url, target)
    before, after = urlsplit(url), urlsplit(found)
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise ExchangeFailed(
            Trouble.REDIRECT_INSECURE, url, f"it redirects to {after.scheme}://{after.netloc.rpartition('@')[2]}"
        )
    if (before.scheme, before.netloc) != (after.scheme, after.netloc):
        for name in [one for one in headers if one.lower() in ("authorization", "cookie")]:
            del headers[name]
    return found


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    import aiohttp

    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise ExchangeFailed(Trouble.CERTIFICATE, url, str(error.certificate_error)) from error
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise ExchangeFailed(Trouble.TLS, url, str(error)) from error
    except aiohttp.ClientConnectorDNSError as error:
        temporary = isinstance(error.os_error, socket.gaierror) and error.os_error.errno == socket.EAI_AGAIN
        trouble = Trouble.NAME_UNRESOLVED if temporary else Trouble.NAME_UNKNOWN
        raise ExchangeFailed(trouble, url, error.os_error.strerror or str(error.os_error)) from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, AddressRefused):
            raise ExchangeFailed(Trouble.ADDRESS_REFUSED, url, str(error.os_error)) from error
        number = error.os_error.errno  # asyncio's own words name the call that failed
        raise ExchangeFailed(
            Trouble.NOT_REACHED, url, os.strerror(number) if number else str(error.os_error)
        ) from error
    except (aiohttp.InvalidURL, ValueError) as error:
        raise ExchangeFailed(Trouble.URL_INVALID, url, str(error) or type(error).__name__) from error
    except TimeoutError as error:
        raise ExchangeFailed(Trouble.TIMEOUT, url, str(error) or "it did not answer in time") from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise ExchangeFailed(Trouble.BROKEN, url, str(error) or type(error).__name__) from error
