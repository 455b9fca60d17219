"""What is in a registry, and removing manifests from it: the distribution API's catalog, tag lists and deletion
(https://github.com/opencontainers/distribution-spec).

A registry frees the space of removed manifests only by its own garbage collection.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urljoin

from danube_pkg.adapters.images.exchange import RegistryExchange
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.manifests import ACCEPTED, MAX_DOCUMENT_BYTES
from danube_pkg.core.images.ports import RegistryAccess
from danube_pkg.core.images.registries import RegistryEndpoint
from danube_pkg.core.retention.ports import RegistryManifest
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.http_client import HttpSettings, WholeResponse

PAGE = 100
"""Names in one answer: registries refuse larger pages than their own limit, which is 100 at least."""

MAX_PAGES = 1000
"""A hundred thousand names; a registry with more is cleaned up by its own tools."""

SECONDS = 60.0
"""Deadline of one request: a catalog is read from a file system."""

_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class RegistryCatalog:
    """`core.retention.ports.ImageRegistry` for one registry. Close it after use. hosts: IP address by host name, in
    place of the resolver's."""

    def __init__(
        self,
        endpoint: RegistryEndpoint,
        access: RegistryAccess,
        clock: Clock,
        user_agent: str,
        hosts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.host = endpoint.host
        settings = HttpSettings(
            user_agent, total_seconds=SECONDS, redirects=0, body_bytes=MAX_DOCUMENT_BYTES, hosts=hosts
        )
        self._exchange = RegistryExchange(endpoint, access, clock, settings)

    async def close(self) -> None:
        await self._exchange.close()

    async def repositories(self) -> Sequence[str]:
        return [name async for name in self._names("_catalog", "repositories", "")]

    async def tags(self, repository: str) -> Sequence[str]:
        return [name async for name in self._names(f"{repository}/tags/list", "tags", repository)]

    async def manifest(self, repository: str, reference: str) -> RegistryManifest | None:
        headers = {"Accept": ", ".join(ACCEPTED)}
        found = await self._request("GET", f"{repository}/manifests/{reference}", repository, headers)
        if found.status == 404:
            return None
        digest = dict(found.headers).get("docker-content-digest", "")
        return _manifest(digest, _document(found.body, self.host), len(found.body))

    async def delete(self, repository: str, digest: str) -> None:
        found = await self._request("DELETE", f"{repository}/manifests/{digest}", repository, {})
        if found.status == 405:
            raise Permanent(
                "registry-keeps-images",
                f"registry {self.host} does not let images be deleted",
                hint="switch it on in the registry's configuration: storage: delete: enabled: true",
            )

    async def _names(self, path: str, key: str, repository: str) -> AsyncIterator[str]:
        """All names of a list, over its pages."""
        path = f"{path}?n={PAGE}"
        for _ in range(MAX_PAGES):
            found = await self._request("GET", path, repository, {})
            if found.status == 404:
                return
            for name in _document(found.body, self.host).get(key) or ():
                yield str(name)
            following = _NEXT.search(dict(found.headers).get("link", ""))
            if following is None:
                return
            path = urljoin(f"/v2/{path}", following[1]).removeprefix("/v2/")

    async def _request(self, method: str, path: str, repository: str, headers: Mapping[str, str]) -> WholeResponse:
        """The answer to a request, 404 and 405 included. Raises Unavailable, Permanent."""
        found = await self._exchange.send(method, path, repository, headers)
        if found.status in (200, 202, 404, 405):
            return found
        if found.status not in (401, 403):
            raise self._exchange.unavailable(f"it answered {method} {path} with {found.status}")
        raise Permanent(
            "registry-denies-access",
            f"registry {self.host} does not let Danube {'delete' if method == 'DELETE' else 'list'} images",
            cause=f"it answered {method} {path} with {found.status}",
            hint="give the account in config.yaml, registries, the right to list and delete",
        )


def _document(data: bytes, host: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise _not_a_registry(host) from error
    if not isinstance(found, dict):
        raise _not_a_registry(host)
    return found


def _not_a_registry(host: str) -> Permanent:
    hint = "check registry.url in danube.toml"
    return Permanent("registry-invalid", f"what answers as registry {host} is not a registry", hint=hint)


def _manifest(digest: str, document: Mapping[str, Any], size_bytes: int) -> RegistryManifest:
    """The manifests of an index, or the blobs of an image; whatever has another form counts by its own size."""
    children = tuple(one["digest"] for one in _entries(document.get("manifests")))
    layers = [*_entries(document.get("layers")), *_entries([document.get("config")])]
    blobs = {one["digest"]: int(one.get("size") or 0) for one in layers}
    return RegistryManifest(digest, children, {digest: size_bytes, **blobs})


def _entries(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("digest"), str)]
