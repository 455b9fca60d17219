"""Reading from registries, as the OCI distribution specification says (https://github.com/opencontainers/distribution-spec).

Mirrors first, then the registry itself. A connection that breaks is taken up where it broke; a registry that asks to wait is
waited for. What comes is checked against the digest that it was asked by, so it does not matter who sent it.
"""

import asyncio
import email.utils
import hashlib
import importlib
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.images.manifests import ACCEPTED, MAX_DOCUMENT_BYTES
from danube_pkg.core.images.ports import LayerFile, RegistryAccess
from danube_pkg.core.images.reference import ImageReference, ImageUnavailable
from danube_pkg.core.images.registries import RegistryEndpoint, endpoints_of
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock

if TYPE_CHECKING:
    from danube_pkg.adapters.images.authentication import Authenticator
    from danube_pkg.adapters.images.exchanges import Exchanges, ProxyOf, RegistryAnswer

TRIES = 5
"""Without any progress: some eight seconds with the delays below, which is longer than a registry takes to be restarted."""

FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 8.0

MAX_WAIT_SECONDS = 120.0
"""In all, for registries that ask to come back later. One that asks for more has no room for us today."""

MAX_RESUMPTIONS = 50
"""Of one layer. A line that breaks more often brings nothing."""

WRITE_BYTES = 1024**2
"""So much is handed to the disk at once, in a thread."""

HASTY_SECONDS = 5.0
"""For a question whose answer one can do without."""

_log = logging.getLogger("danube.images")
_Result = TypeVar("_Result")


class _Refused(Exception):
    """An endpoint said no, or nothing at all. temporary: it may say something else another time. wait_seconds: it said when."""

    def __init__(self, error: ImageUnavailable, *, temporary: bool = False, wait_seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.temporary = temporary
        self.wait_seconds = wait_seconds


class RegistryClient:
    """`core.images.ports.Registry` for every host. hosts: names with the address that they have here, as in /etc/hosts."""

    def __init__(
        self,
        access: RegistryAccess,
        clock: Clock,
        agent: str,
        proxy_of: "ProxyOf",
        hosts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._access = access
        self._clock = clock
        self._agent = agent
        self._proxy_of = proxy_of
        self._hosts = hosts
        self._exchanges: Exchanges | None = None
        self._authenticator: Authenticator | None = None
        self._opening = asyncio.Lock()

    async def _open(self) -> tuple["Exchanges", "Authenticator"]:
        """The client and its library, which take a fifth of a second to load and are not needed by most commands."""
        async with self._opening:
            if self._exchanges is None or self._authenticator is None:
                await asyncio.to_thread(importlib.import_module, "danube_pkg.adapters.images.authentication")
                from danube_pkg.adapters.images.authentication import Authenticator
                from danube_pkg.adapters.images.exchanges import Exchanges

                self._exchanges = Exchanges(self._proxy_of, self._agent, self._hosts)
                self._authenticator = Authenticator(self._exchanges, self._clock)
            return self._exchanges, self._authenticator

    async def close(self) -> None:
        if self._exchanges is not None:
            await self._exchanges.close()

    # --- what is asked for

    async def digest(self, reference: ImageReference, *, hasty: bool = False) -> str:
        """What the reference's tag means now. hasty: one short try. Raises ImageUnavailable, Unavailable when hasty."""

        async def ask(endpoint: RegistryEndpoint) -> str:
            path, accept = f"manifests/{reference.tag}", {"Accept": ", ".join(ACCEPTED)}
            seconds = HASTY_SECONDS if hasty else None
            async with self._asked("HEAD", endpoint, reference, path, accept, seconds) as answer:
                if found := answer.headers.get("Docker-Content-Digest", ""):
                    return found
            async with self._asked("GET", endpoint, reference, path, accept, seconds) as answer:
                return _digest_of(await answer.text(MAX_DOCUMENT_BYTES))

        return await self._ask_all(reference, ask, tries=1 if hasty else TRIES)

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[bytes, str]:
        """A manifest or an index by its digest, and the media type it was served as."""

        async def ask(endpoint: RegistryEndpoint) -> tuple[bytes, str]:
            accept = {"Accept": ", ".join(ACCEPTED)}
            async with self._asked("GET", endpoint, reference, f"manifests/{digest}", accept) as answer:
                data = await answer.text(MAX_DOCUMENT_BYTES)
                return _checked(data, digest, endpoint), answer.headers.get("Content-Type", "")

        return await self._ask_all(reference, ask)

    async def document(self, reference: ImageReference, digest: str) -> bytes:
        """A small blob, such as an image's configuration."""

        async def ask(endpoint: RegistryEndpoint) -> bytes:
            async with self._asked("GET", endpoint, reference, f"blobs/{digest}", {}) as answer:
                return _checked(await answer.text(MAX_DOCUMENT_BYTES), digest, endpoint)

        return await self._ask_all(reference, ask)

    async def layer(self, reference: ImageReference, digest: str, file: LayerFile) -> None:
        """A blob into a file, taken up where it broke off. The file checks what came."""
        sender: list[RegistryEndpoint] = []

        async def ask(endpoint: RegistryEndpoint) -> None:
            if sender != [endpoint]:
                await asyncio.to_thread(file.restart)  # what another one sent may be the reason for coming here
                sender[:] = [endpoint]
            ranged = {"Range": f"bytes={file.written}-"} if file.written else {}
            async with self._asked("GET", endpoint, reference, f"blobs/{digest}", ranged) as answer:
                if file.written and not _continues(answer, file.written):
                    await asyncio.to_thread(file.restart)
                await _write(answer, file)
            file.check()

        await self._ask_all(reference, ask, progress=lambda: file.written)

    # --- how it is asked

    async def _ask_all(
        self,
        reference: ImageReference,
        ask: Callable[[RegistryEndpoint], Awaitable[_Result]],
        *,
        tries: int = TRIES,
        progress: Callable[[], int] = lambda: 0,
    ) -> _Result:
        """The first endpoint that has it. What a mirror says against it is no news as long as another one has it."""
        endpoints = endpoints_of(reference.host, self._access.specs())
        for endpoint in endpoints:
            try:
                return await self._ask_patiently(endpoint, ask, 1 if endpoint.mirror else tries, progress)
            except (_Refused, ImageUnavailable) as refused:
                error = refused.error if isinstance(refused, _Refused) else refused
                if endpoint.mirror:
                    _log.info("mirror-passed-over", extra={"fields": {"mirror": endpoint.url, "cause": str(error)}})
                elif tries == 1 and isinstance(refused, _Refused) and refused.temporary:
                    raise Unavailable(
                        "registry-unreachable", error.what, cause=error.cause, hint=error.hint
                    ) from refused
                else:
                    raise error from refused
        raise AssertionError("the registry itself is the last endpoint")

    async def _ask_patiently(
        self,
        endpoint: RegistryEndpoint,
        ask: Callable[[RegistryEndpoint], Awaitable[_Result]],
        tries: int,
        progress: Callable[[], int],
    ) -> _Result:
        from danube_pkg.adapters.images.exchanges import Broken

        await self._open()
        backoff = Backoff(FIRST_DELAY_SECONDS, LAST_DELAY_SECONDS, random.random)
        left, resumed, waited, reached = tries, 0, 0.0, progress()
        while True:
            try:
                return await ask(endpoint)
            except Broken as error:
                if error.error is not None:
                    raise _Refused(error.error, temporary=True) from error
                left -= 1
                if progress() > reached and resumed < MAX_RESUMPTIONS and not endpoint.mirror:
                    left, reached, resumed = tries, progress(), resumed + 1
                    backoff.reset()
                if left <= 0:
                    raise _Refused(_unreachable(endpoint, str(error), tries, progress()), temporary=True) from error
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

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        endpoint: RegistryEndpoint,
        reference: ImageReference,
        path: str,
        headers: Mapping[str, str],
        seconds: float | None = None,
    ) -> AsyncIterator["RegistryAnswer"]:
        """A good answer. A challenge is met once. Raises Broken, _Refused."""
        from danube_pkg.adapters.images.authentication import read_challenge

        exchanges, authenticator = await self._open()
        url = f"{endpoint.url}/v2/{reference.path}/{path}"
        for met in (False, True):
            sent = {**headers, **authenticator.header(endpoint, reference.path)}
            async with exchanges.request(method, url, sent, seconds=seconds) as answer:
                if answer.status in (200, 206):
                    yield answer
                    return
                if answer.status not in (401, 403):
                    await _raise_for(answer, endpoint, reference, self._clock.now())
                authenticator.forget(endpoint, reference.path)
                credentials = await self._access.credentials(endpoint.host)
                challenge = read_challenge(answer.headers.get("WWW-Authenticate", "")) if not met else None
                if not challenge or not await authenticator.answer(challenge, endpoint, reference.path, credentials):
                    raise _Refused(_not_let_in(endpoint, reference, known=credentials is not None))


async def _write(answer: "RegistryAnswer", file: LayerFile) -> None:
    held: list[bytes] = []
    size = 0
    try:
        while data := await answer.read():
            held.append(data)
            size += len(data)
            if size >= WRITE_BYTES:
                piece, held, size = b"".join(held), [], 0
                await asyncio.to_thread(file.write, piece)
    finally:
        if held:  # what came before a line broke is not asked for again
            await asyncio.to_thread(file.write, b"".join(held))


def _continues(answer: "RegistryAnswer", written: int) -> bool:
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {written}-")


def _checked(data: bytes, digest: str, endpoint: RegistryEndpoint) -> bytes:
    found = _digest_of(data)
    if found != digest:
        raise _Refused(
            ImageUnavailable(
                f"registry {endpoint.host} gave something else than was asked for",
                cause=f"{digest} was asked for, {found} came",
                hint="check the registry's storage and what lies between it and this machine",
            )
        )
    return data


def _digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def _raise_for(
    answer: "RegistryAnswer", endpoint: RegistryEndpoint, reference: ImageReference, now: float
) -> NoReturn:
    """Raises Broken or _Refused for an answer that is not good."""
    from danube_pkg.adapters.images.exchanges import Broken

    status = answer.status
    said = _said(await answer.text(MAX_DOCUMENT_BYTES))
    if status == 429 or (status == 503 and "Retry-After" in answer.headers):
        seconds = _retry_after(answer.headers.get("Retry-After", ""), now)
        raise _Refused(
            ImageUnavailable(
                f"registry {endpoint.host} has had enough of this machine's requests",
                cause=f"it answers {status}{said} and asks to wait {seconds:g} s",
                hint="log in to the registry, or put a mirror before it: registries in config.yaml",
            ),
            temporary=True,
            wait_seconds=seconds,
        )
    if status >= 500 or status == 408:
        raise Broken(f"it answers {status}{said}")
    if status in (404, 416):
        raise _Refused(
            ImageUnavailable(
                f"registry {endpoint.host} has no image {reference}",
                cause=said.strip(" :"),
                hint="check the name and the tag",
            )
        )
    raise _Refused(
        ImageUnavailable(
            f"registry {endpoint.host} refuses image {reference}",
            cause=f"it answers {status}{said}",
            hint="check the name",
        )
    )


def _not_let_in(endpoint: RegistryEndpoint, reference: ImageReference, *, known: bool) -> ImageUnavailable:
    login = f"docker login {endpoint.host}, or in config.yaml: registries with username and password_secret"
    if known:
        what = f"registry {endpoint.host} does not let these credentials read {reference}"
        return ImageUnavailable(what, hint=f"check what they may read; others are set by: {login}")
    return ImageUnavailable(f"registry {endpoint.host} gives {reference} to nobody without credentials", hint=login)


def _unreachable(endpoint: RegistryEndpoint, cause: str, tries: int, written: int) -> ImageUnavailable:
    if written:
        what = f"the connection to registry {endpoint.host} breaks again and again"
        return ImageUnavailable(what, cause=f"after {written} bytes of a layer: {cause}", hint="check the network")
    return ImageUnavailable(
        f"registry {endpoint.host} cannot be reached",
        cause=f"{cause} (tried {tries} times)" if tries > 1 else cause,
        hint="check the network; without one, load images from files: danube image load FILE",
    )


def _retry_after(header: str, now: float) -> float:
    """Seconds: a number, or the time until a date (RFC 9110 section 10.2.3)."""
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return FIRST_DELAY_SECONDS


def _said(data: bytes) -> str:
    """The message of the registry's error, short."""
    try:
        return f": {str(json.loads(data)['errors'][0]['message'])[:200]}"
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
