"""Requests to one registry, with its credentials: a challenge is answered once, and the request is sent again."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

from danube_pkg.adapters.images.authentication import Authenticator, Authorizations, read_challenge
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.images.ports import RegistryAccess
from danube_pkg.core.images.registries import RegistryEndpoint
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings, WholeResponse


class RegistryExchange:
    """Close it after use."""

    def __init__(
        self, endpoint: RegistryEndpoint, access: RegistryAccess, clock: Clock, settings: HttpSettings
    ) -> None:
        self._endpoint = endpoint
        self._access = access
        self._http = HttpClient(settings)
        self._authenticator = Authenticator(self._http, clock, Authorizations())

    async def close(self) -> None:
        await self._http.close()

    async def send(
        self, method: str, path: str, repository: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> WholeResponse:
        """The response with any status: 401 or 403 where access is denied. Raises Unavailable.

        path: below `/v2/`, or a URL that the registry has named. Credentials are sent to the registry's origin only.
        """
        url = urljoin(f"{self._endpoint.url}/v2/", path)
        is_own = urlsplit(url)[:2] == urlsplit(self._endpoint.url)[:2]
        found = await self._send(method, url, repository, headers, body, is_own=is_own)
        if found.status in (401, 403) and is_own and await self._authorised(found, repository):
            return await self._send(method, url, repository, headers, body, is_own=is_own)
        return found

    async def _send(
        self,
        method: str,
        url: str,
        repository: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        is_own: bool,
    ) -> WholeResponse:
        known = self._authenticator.header(self._endpoint, repository) if is_own else {}
        async with self._reached():
            return await self._http.exchange(method, url, headers={**headers, **known}, body=body)

    async def _authorised(self, found: WholeResponse, repository: str) -> bool:
        """Whether the response's challenge could be answered."""
        challenge = read_challenge(dict(found.headers).get("www-authenticate", ""))
        self._authenticator.forget(self._endpoint, repository)
        credentials = await self._access.credentials(self._endpoint.host)
        async with self._reached():
            return challenge is not None and await self._authenticator.answer(
                challenge, self._endpoint, repository, credentials
            )

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        try:
            yield
        except ExchangeFailed as error:
            raise self.unavailable(str(error)) from error

    def unavailable(self, cause: str) -> Unavailable:
        """The error of a registry that does not answer as it should."""
        return Unavailable(
            "registry-unreachable",
            f"registry {self._endpoint.host} cannot be used now",
            cause=cause,
            hint=f"check that it runs: curl {self._endpoint.url}/v2/",
        )
