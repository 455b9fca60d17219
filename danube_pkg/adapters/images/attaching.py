"""Attaches statements to images of one registry, by the OCI distribution specification
(https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject).

`core/provenance/image_attestations.py` has the documents.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

from danube_pkg.adapters.images import refusals
from danube_pkg.adapters.images.exchange import RegistryExchange
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.manifests import ACCEPTED
from danube_pkg.core.images.registries import RegistryEndpoint
from danube_pkg.core.provenance.envelope import BUNDLE_TYPE
from danube_pkg.core.provenance.image_attestations import (
    EMPTY,
    EMPTY_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    AttachedStatement,
    ContentDescriptor,
    descriptor_of,
    fallback_tag,
    index_with,
    manifest_of,
)
from danube_pkg.kit.http_client import WholeResponse


class RegistryAttachments:
    """`core.provenance.image_attestations.ImageAttestations`, over one exchange.

    Its caller is the only writer of these tags: the specification has no way to change an index that two write at the
    same time.
    """

    def __init__(self, endpoint: RegistryEndpoint, exchange: RegistryExchange) -> None:
        self._endpoint = endpoint
        self._exchange = exchange

    async def attach(self, repository: str, digest: str, statements: Sequence[AttachedStatement]) -> None:
        image = await self._image(repository, digest)
        await self._push_blob(repository, EMPTY, descriptor_of(EMPTY, EMPTY_TYPE))
        for statement in statements:
            await self._push_blob(repository, statement.bundle, descriptor_of(statement.bundle, BUNDLE_TYPE))
            manifest = manifest_of(statement, image)
            named = descriptor_of(manifest, MANIFEST_TYPE).digest
            found = await self._put(repository, named, manifest, MANIFEST_TYPE)
            if "oci-subject" not in dict(found.headers):  # else the registry keeps the index itself
                await self._add_to_index(repository, fallback_tag(digest), statement, manifest)

    async def _image(self, repository: str, digest: str) -> ContentDescriptor:
        """The image's descriptor, as the registry has it."""
        found = await self._get(repository, digest)
        if found is None:
            raise Permanent(
                "image-gone",
                f"registry {self._endpoint.host} does not have {repository}@{digest} any more",
                cause="it was removed before its provenance could be attached",
                hint="build it again: danube rerun JOB",
            )
        kind = dict(found.headers).get("content-type", MANIFEST_TYPE).partition(";")[0]
        return ContentDescriptor(kind, digest, len(found.body))

    async def _add_to_index(self, repository: str, tag: str, statement: AttachedStatement, manifest: bytes) -> None:
        found = await self._get(repository, tag)
        index = index_with(_document(found), statement, manifest)
        if index is not None:
            await self._put(repository, tag, index, INDEX_TYPE)

    async def _get(self, repository: str, reference: str) -> WholeResponse | None:
        headers = {"Accept": ", ".join(ACCEPTED)}
        found = await self._exchange.send("GET", f"{repository}/manifests/{reference}", repository, headers)
        return None if found.status == 404 else self._check(found, (200,), f"a request for {repository}")

    async def _put(self, repository: str, reference: str, data: bytes, media_type: str) -> WholeResponse:
        path, headers = f"{repository}/manifests/{reference}", {"Content-Type": media_type}
        found = await self._exchange.send("PUT", path, repository, headers, data)
        return self._check(found, (201,), f"a statement about an image of {repository}")

    async def _push_blob(self, repository: str, data: bytes, blob: ContentDescriptor) -> None:
        known = await self._exchange.send("HEAD", f"{repository}/blobs/{blob.digest}", repository, {})
        if known.status == 200:
            return
        what = f"an upload to {repository}"
        started = await self._exchange.send("POST", f"{repository}/blobs/uploads/", repository, {}, b"")
        location = dict(self._check(started, (202,), what).headers).get("location", "")
        if not location:
            raise self._exchange.unavailable("it did not say where an upload continues")
        place = urljoin(f"{self._endpoint.url}/v2/", location)
        sign, headers = "&" if "?" in place else "?", {"Content-Type": "application/octet-stream"}
        found = await self._exchange.send("PUT", f"{place}{sign}digest={blob.digest}", repository, headers, data)
        self._check(found, (201,), what)

    def _check(self, found: WholeResponse, expected: tuple[int, ...], what: str) -> WholeResponse:
        """The response, if it has an expected status."""
        if found.status in expected:
            return found
        cause = f"it answered {found.status}{refusals.error_message(found.body)}"
        if found.status >= 500 or found.status in (408, 429):
            raise self._exchange.unavailable(cause)
        raise Permanent(
            "registry-refuses-statement",
            f"registry {self._endpoint.host} does not take {what}",
            cause=cause,
            hint="may the server's account push there? See docs/images.md",
        )


def _document(found: WholeResponse | None) -> dict[str, Any] | None:
    """What the registry has under the tag; None for nothing, and for anything that is not an index."""
    if found is None:
        return None
    try:
        document = json.loads(found.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
