"""Pushes an image from a file to a registry, by the OCI distribution specification
(https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push).

Layers are sent in pieces, so that one of any size needs little memory. What the registry has is not sent again, so a
push that failed is simply repeated. The manifest is last: a name never refers to an image that is not complete.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from urllib.parse import urljoin

from danube_pkg.adapters.images import refusals
from danube_pkg.adapters.images.exchange import RegistryExchange
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.manifests import MAX_DOCUMENT_BYTES
from danube_pkg.core.images.ports import RegistryAccess
from danube_pkg.core.images.reference import ImageReference, PackedBlob, PackedImage
from danube_pkg.core.images.registries import RegistryEndpoint
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.http_client import HttpSettings, ProxyOf, WholeResponse

PIECE_BYTES = 8 * 1024**2
"""One request of an upload: large enough that a layer takes few of them, small enough for memory."""

SECONDS = 300.0
"""Deadline of one request: a piece in it is a quarter of a megabit a second."""


class RegistryPusher:
    """Pushes to one registry. Close it after use. report: takes lines about the progress, for users."""

    def __init__(
        self,
        endpoint: RegistryEndpoint,
        access: RegistryAccess,
        clock: Clock,
        user_agent: str,
        proxy_of: ProxyOf,
        report: Callable[[str], None],
    ) -> None:
        self._endpoint = endpoint
        self._report = report
        settings = HttpSettings(
            user_agent, total_seconds=SECONDS, redirects=0, body_bytes=MAX_DOCUMENT_BYTES, proxy_of=proxy_of
        )
        self._exchange = RegistryExchange(endpoint, access, clock, settings)

    async def close(self) -> None:
        await self._exchange.close()

    async def push(self, image: PackedImage, reference: ImageReference) -> str:
        """Push under the reference's tag; the digest. Raises Unavailable, Permanent."""
        for blob in image.blobs:
            await self._push_blob(blob, reference)
        path = f"{reference.path}/manifests/{reference.tag}"
        headers = {"Content-Type": image.media_type}
        found = await self._exchange.send("PUT", path, reference.path, headers, image.manifest)
        self._check(found, (201,), f"the manifest of {reference}")
        digest = f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
        named = dict(found.headers).get("docker-content-digest", digest)
        if named != digest:
            raise self._exchange.unavailable(f"it stored {named} in place of {digest}")
        return digest

    async def _push_blob(self, blob: PackedBlob, reference: ImageReference) -> None:
        known = await self._exchange.send("HEAD", f"{reference.path}/blobs/{blob.digest}", reference.path, {})
        if known.status == 200:
            return
        started = await self._exchange.send("POST", f"{reference.path}/blobs/uploads/", reference.path, {}, b"")
        place = self._place(self._check(started, (202,), f"an upload to {reference}"))
        sent = 0
        while sent < blob.size:
            data = await asyncio.to_thread(_piece, blob, sent)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{sent}-{sent + len(data) - 1}",
            }
            found = await self._exchange.send("PATCH", place, reference.path, headers, data)
            place = self._place(self._check(found, (202,), f"a layer of {reference}"))
            sent += len(data)
            self._report(f"{reference}: {sent >> 20} of {blob.size >> 20} MB")
        sign = "&" if "?" in place else "?"
        found = await self._exchange.send("PUT", f"{place}{sign}digest={blob.digest}", reference.path, {}, b"")
        self._check(found, (201,), f"a layer of {reference}")

    def _place(self, found: WholeResponse) -> str:
        """Where the upload continues; the registry's own URL may be relative."""
        location = dict(found.headers).get("location", "")
        if not location:
            raise self._exchange.unavailable("it did not say where an upload continues")
        return urljoin(f"{self._endpoint.url}/v2/", location)

    def _check(self, found: WholeResponse, expected: tuple[int, ...], what: str) -> WholeResponse:
        """The response, if it has an expected status."""
        if found.status in expected:
            return found
        cause = f"it answered {found.status}{refusals.error_message(found.body)}"
        if found.status in (401, 403):
            raise Permanent(
                "registry-denies-access",
                f"registry {self._endpoint.host} does not take {what}",
                cause=cause,
                hint=f"log in as a user who may push there: docker login {self._endpoint.host}",
            )
        if found.status >= 500 or found.status in (408, 429):
            raise self._exchange.unavailable(cause)
        raise Permanent(
            "registry-refuses-image",
            f"registry {self._endpoint.host} does not take {what}",
            cause=cause,
            hint="check the name; is the registry read-only?",
        )


def _piece(blob: PackedBlob, sent: int) -> bytes:
    with blob.path.open("rb") as file:
        data = os.pread(file.fileno(), min(PIECE_BYTES, blob.size - sent), blob.offset + sent)
    if not data:
        raise Permanent("file-changed", f"{blob.path} became shorter while it was read", hint="make the file again")
    return data
