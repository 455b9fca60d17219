"""Client for registries, as in the OCI distribution specification
(https://github.com/opencontainers/distribution-spec).

Mirrors are tried first, then the registry itself. A layer whose connection breaks is resumed where it broke; a rate
limit is waited for, within bounds. Content is checked against the digest that was requested, so any mirror may serve
it.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import NoReturn, TypeVar

from danube_pkg.adapters.images import refusals
from danube_pkg.adapters.images.authentication import Authenticator, Authorizations, read_challenge
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.images.manifests import ACCEPTED, MAX_DOCUMENT_BYTES
from danube_pkg.core.images.ports import LayerFile, RegistryAccess, RegistryGuard
from danube_pkg.core.images.reference import ImageReference, ImageUnavailable
from danube_pkg.core.images.registries import RegistryEndpoint, endpoints_of
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings, ProxyOf, StreamedResponse, Trouble
from danube_pkg.kit.retry_after import retry_after_seconds

TRIES = 5
"""Tries without any progress: about eight seconds with the delays below, longer than a registry takes to restart."""

FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 8.0

MAX_WAIT_SECONDS = 120.0
"""Sum of the pauses that registries may request for one download; a longer one fails the pull."""

MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
"""Bound of a requested pause as messages show it; far more than is waited for."""

MAX_RESUMPTIONS = 50
"""Resumptions of one layer; a connection that breaks more often is not usable."""

WRITE_BYTES = 1024**2
"""Size of one write to the disk, which runs in a thread."""

SINGLE_TRY_SECONDS = 5.0
"""Deadline of a request whose answer is optional."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""Between two pieces of a response; a registry that fetches a layer from elsewhere may need some."""

MAX_REDIRECTS = 4
CONNECTIONS_PER_HOST = 6
BUFFER_BYTES = 1024**2

_log = logging.getLogger("danube.images")
_Result = TypeVar("_Result")


class _Refused(Exception):
    """An endpoint refused or is unreachable.

    is_temporary: a later request may succeed. wait_seconds: the pause that the registry requests, if it does.
    """

    def __init__(
        self, error: ImageUnavailable, *, is_temporary: bool = False, wait_seconds: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_temporary = is_temporary
        self.wait_seconds = wait_seconds


class _ServerFailing(Exception):
    """A response with a status that another try may change. str(): the cause."""


class RegistryClients:
    """`core.images.ports.RegistryConnector`: a client for each pull.

    Connections are not shared between pulls, since what one job may reach another may not.
    """

    def __init__(self, make: "Callable[[RegistryGuard | None], RegistryClient]") -> None:
        self._make = make

    @asynccontextmanager
    async def open(self, guard: RegistryGuard | None) -> AsyncIterator["RegistryClient"]:
        client = self._make(guard)
        try:
            yield client
        finally:
            await client.close()


class RegistryClient:
    """`core.images.ports.Registry` for every host. Close it after use.

    random: numbers in [0, 1) that spread the pauses. hosts: IP address by host name, in place of the resolver's.
    guard: decides which servers are contacted; None for all. authorizations: shared with other clients.
    """

    def __init__(
        self,
        access: RegistryAccess,
        clock: Clock,
        user_agent: str,
        proxy_of: ProxyOf,
        random: Callable[[], float],
        hosts: Mapping[str, str] = MappingProxyType({}),
        guard: RegistryGuard | None = None,
        authorizations: Authorizations | None = None,
    ) -> None:
        self._hides_causes = guard is not None and guard.hides_causes
        self._access = access
        self._clock = clock
        self._random = random
        self._http = HttpClient(
            HttpSettings(
                user_agent,
                total_seconds=None,
                connect_seconds=CONNECT_SECONDS,
                silence_seconds=SILENCE_SECONDS,
                redirects=MAX_REDIRECTS,
                decompress=False,  # digests are those of the bytes as they are sent
                connections_per_host=CONNECTIONS_PER_HOST,
                buffer_bytes=BUFFER_BYTES,
                proxy_of=proxy_of,
                hosts=hosts,
                guard=guard,
            )
        )
        self._authenticator = Authenticator(self._http, clock, authorizations or Authorizations())

    async def close(self) -> None:
        await self._http.close()

    # --- content

    async def digest(self, reference: ImageReference, *, single_try: bool = False) -> str:
        """The digest that the reference's tag has now. Raises ImageUnavailable.

        single_try: one request with a short deadline, which raises Unavailable if another try may succeed.
        """

        async def request(endpoint: RegistryEndpoint) -> str:
            path, accept = f"manifests/{reference.tag}", {"Accept": ", ".join(ACCEPTED)}
            seconds = SINGLE_TRY_SECONDS if single_try else None
            async with self._response("HEAD", endpoint, reference, path, accept, seconds) as response:
                if found := response.headers.get("Docker-Content-Digest", ""):
                    return found
            async with self._response("GET", endpoint, reference, path, accept, seconds) as response:
                return _digest_of(await response.whole(MAX_DOCUMENT_BYTES))

        return await self._from_any_endpoint(reference, request, tries=1 if single_try else TRIES)

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[bytes, str]:
        """A manifest or an index by its digest, and its media type."""

        async def request(endpoint: RegistryEndpoint) -> tuple[bytes, str]:
            accept = {"Accept": ", ".join(ACCEPTED)}
            async with self._response("GET", endpoint, reference, f"manifests/{digest}", accept) as response:
                data = await response.whole(MAX_DOCUMENT_BYTES)
                return _checked(data, digest, endpoint), response.headers.get("Content-Type", "")

        return await self._from_any_endpoint(reference, request)

    async def document(self, reference: ImageReference, digest: str) -> bytes:
        """A small blob, such as an image's configuration."""

        async def request(endpoint: RegistryEndpoint) -> bytes:
            async with self._response("GET", endpoint, reference, f"blobs/{digest}", {}) as response:
                return _checked(await response.whole(MAX_DOCUMENT_BYTES), digest, endpoint)

        return await self._from_any_endpoint(reference, request)

    async def layer(self, reference: ImageReference, digest: str, file: LayerFile) -> None:
        """Writes a blob into a file, which checks it. A broken download is resumed where it broke."""
        last_endpoint: RegistryEndpoint | None = None

        async def request(endpoint: RegistryEndpoint) -> None:
            nonlocal last_endpoint
            if endpoint != last_endpoint:
                await asyncio.to_thread(file.restart)  # what the endpoint before it sent may be wrong
                last_endpoint = endpoint
            ranged = {"Range": f"bytes={file.written}-"} if file.written else {}
            async with self._response("GET", endpoint, reference, f"blobs/{digest}", ranged) as response:
                if file.written and not _is_continuation(response, file.written):
                    await asyncio.to_thread(file.restart)
                await _write(response, file)
            file.check()

        await self._from_any_endpoint(reference, request, progress=lambda: file.written)

    # --- endpoints, tries, challenges

    async def _from_any_endpoint(
        self,
        reference: ImageReference,
        request: Callable[[RegistryEndpoint], Awaitable[_Result]],
        *,
        tries: int = TRIES,
        progress: Callable[[], int] = lambda: 0,
    ) -> _Result:
        """The result of the first endpoint that has one. A mirror's refusal is only logged."""
        endpoints = endpoints_of(reference.host, self._access.specs())
        for endpoint in endpoints:
            try:
                return await self._with_retries(endpoint, request, 1 if endpoint.mirror else tries, progress)
            except (_Refused, ImageUnavailable) as refused:
                error = refused.error if isinstance(refused, _Refused) else refused
                if endpoint.mirror:
                    _log.info("mirror-passed-over", extra={"fields": {"mirror": endpoint.url, "cause": str(error)}})
                elif tries == 1 and isinstance(refused, _Refused) and refused.is_temporary:
                    raise Unavailable(
                        "registry-unreachable", error.what, cause=error.cause, hint=error.hint
                    ) from refused
                else:
                    raise error from refused
        raise AssertionError("the registry itself is the last endpoint")

    async def _with_retries(
        self,
        endpoint: RegistryEndpoint,
        request: Callable[[RegistryEndpoint], Awaitable[_Result]],
        tries: int,
        progress: Callable[[], int],
    ) -> _Result:
        """The result of the first request that succeeds. progress: bytes so far; more of them start the count over."""
        backoff = Backoff(FIRST_DELAY_SECONDS, LAST_DELAY_SECONDS, self._random)
        left, resumed, waited, reached = tries, 0, 0.0, progress()
        while True:
            try:
                return await request(endpoint)
            except (ExchangeFailed, _ServerFailing) as error:
                if isinstance(error, ExchangeFailed):
                    self._raise_if_permanent(error)
                left -= 1
                if progress() > reached and resumed < MAX_RESUMPTIONS and not endpoint.mirror:
                    left, reached, resumed = tries, progress(), resumed + 1
                    backoff.reset()
                if left <= 0:
                    raise _Refused(self._unreachable(endpoint, error, tries, progress()), is_temporary=True) from error
                delay = backoff.next()
            except _Refused as refused:
                if refused.wait_seconds is None or endpoint.mirror or tries == 1:
                    raise
                left -= 1
                delay = max(refused.wait_seconds, backoff.next())
                waited += delay
                if left <= 0 or waited > MAX_WAIT_SECONDS:
                    raise
            await self._clock.sleep(delay)

    def _unreachable(
        self, endpoint: RegistryEndpoint, error: Exception, tries: int, written_bytes: int
    ) -> ImageUnavailable:
        if self._hides_causes and isinstance(error, ExchangeFailed) and not written_bytes:
            return refusals.out_of_reach(error.host)
        return refusals.unreachable(endpoint, str(error), tries, written_bytes)

    def _raise_if_permanent(self, failed: ExchangeFailed) -> None:
        if failed.trouble in (Trouble.NAME_UNKNOWN, Trouble.ADDRESS_REFUSED) and self._hides_causes:
            raise _Refused(refusals.out_of_reach(failed.host), is_temporary=True) from failed
        if failed.trouble is Trouble.NAME_UNKNOWN:  # no other try now, but a network may be missing for the moment
            raise _Refused(refusals.unknown_host(failed), is_temporary=True) from failed
        if failed.trouble is Trouble.ADDRESS_REFUSED:
            raise refusals.not_allowed(failed) from failed
        if error := refusals.permanent_failure(failed):
            raise error from failed

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        endpoint: RegistryEndpoint,
        reference: ImageReference,
        path: str,
        headers: Mapping[str, str],
        seconds: float | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """A successful response. One challenge is answered. Raises ExchangeFailed, _ServerFailing, _Refused."""
        url = f"{endpoint.url}/v2/{reference.path}/{path}"
        for is_second in (False, True):
            sent = {**headers, **self._authenticator.header(endpoint, reference.path)}
            async with self._http.stream(method, url, headers=sent, seconds=seconds) as response:
                if response.status in (200, 206):
                    yield response
                    return
                if response.status not in (401, 403):
                    await _raise_for(response, endpoint, reference, self._clock.now())
                self._authenticator.forget(endpoint, reference.path)
                credentials = await self._access.credentials(endpoint.host)
                challenge = None if is_second else read_challenge(response.headers.get("WWW-Authenticate", ""))
                if not challenge or not await self._authenticator.answer(
                    challenge, endpoint, reference.path, credentials
                ):
                    has_credentials = credentials is not None
                    raise _Refused(refusals.access_denied(endpoint, reference, has_credentials=has_credentials))


async def _write(response: StreamedResponse, file: LayerFile) -> None:
    held: list[bytes] = []
    size = 0
    try:
        while data := await response.read():
            held.append(data)
            size += len(data)
            if size >= WRITE_BYTES:
                piece, held, size = b"".join(held), [], 0
                await asyncio.to_thread(file.write, piece)
    finally:
        if held:  # the bytes before a broken connection are not requested again
            await asyncio.to_thread(file.write, b"".join(held))


def _is_continuation(response: StreamedResponse, written: int) -> bool:
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {written}-")


def _checked(data: bytes, digest: str, endpoint: RegistryEndpoint) -> bytes:
    found = _digest_of(data)
    if found != digest:
        raise _Refused(refusals.wrong_content(endpoint, digest, found))
    return data


def _digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def _raise_for(
    response: StreamedResponse, endpoint: RegistryEndpoint, reference: ImageReference, now: float
) -> NoReturn:
    """Raises _ServerFailing or _Refused for a response that is not successful."""
    status = response.status
    message = refusals.error_message(await response.whole(MAX_DOCUMENT_BYTES, cut=True))
    if status == 429 or (status == 503 and "Retry-After" in response.headers):
        header = response.headers.get("Retry-After", "")
        seconds = retry_after_seconds(header, now, max_seconds=MAX_RETRY_AFTER_SECONDS)
        wait_seconds = FIRST_DELAY_SECONDS if seconds is None else seconds
        error = refusals.rate_limited(endpoint, status, message, wait_seconds)
        raise _Refused(error, is_temporary=True, wait_seconds=wait_seconds)
    if status >= 500 or status == 408:
        raise _ServerFailing(f"it answered {status}{message}")
    raise _Refused(refusals.refused(endpoint, reference, status, message))
