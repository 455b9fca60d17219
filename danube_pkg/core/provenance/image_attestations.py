"""Provenance in a registry: the documents that tie a signed statement to the image that it is about.

Each statement is a Sigstore bundle, the only layer of an artifact manifest whose `subject` is the image
(https://github.com/sigstore/cosign, specs/BUNDLE_SPEC.md). Registries without the referrers API have it found by a tag
that is named after the image's digest: an index of all that refers to it (OCI distribution specification 1.1,
"Referrers Tag Schema").
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from danube_pkg.core.provenance.envelope import BUNDLE_TYPE
from danube_pkg.kit.records import Record

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
"""The configuration of an artifact that has none."""

MAX_REFERRERS = 200
"""Entries of one index; an image has one for each statement, and those of other tools."""


class AttachedStatement(Record):
    """bundle: a Sigstore bundle as JSON. predicate_type: of its statement."""

    bundle: bytes
    predicate_type: str


class ContentDescriptor(Record):
    """What a manifest or index says of content (OCI image specification, descriptor.md)."""

    media_type: str
    digest: str
    size: int

    def document(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class ImageAttestations(Protocol):
    """Attaches statements to images of the server's own registry."""

    async def attach(self, repository: str, digest: str, statements: Sequence[AttachedStatement]) -> None:
        """Idempotent. digest: the image's. Raises Unavailable; Permanent where the registry does not have the image
        any more, or refuses."""
        ...


def descriptor_of(data: bytes, media_type: str) -> ContentDescriptor:
    """The descriptor of content."""
    return ContentDescriptor(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def fallback_tag(digest: str) -> str:
    """The tag under which what refers to an image is found."""
    return digest.replace(":", "-")


def manifest_of(statement: AttachedStatement, image: ContentDescriptor) -> bytes:
    """The artifact manifest of a statement. The same statement gives the same bytes."""
    return _encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": BUNDLE_TYPE,
            "config": descriptor_of(EMPTY, EMPTY_TYPE).document(),
            "layers": [descriptor_of(statement.bundle, BUNDLE_TYPE).document()],
            "subject": image.document(),
            "annotations": _annotations(statement),
        }
    )


def index_with(index: Mapping[str, Any] | None, statement: AttachedStatement, manifest: bytes) -> bytes | None:
    """The index with one manifest more; None where it has it already, or has as many as are allowed. index: what the
    registry has under the tag, None for nothing."""
    found = (index or {}).get("manifests")
    entries = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    entry = descriptor_of(manifest, MANIFEST_TYPE).document()
    if len(entries) >= MAX_REFERRERS or any(one.get("digest") == entry["digest"] for one in entries):
        return None
    entry |= {"artifactType": BUNDLE_TYPE, "annotations": _annotations(statement)}
    return _encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*entries, entry]})


def _annotations(statement: AttachedStatement) -> dict[str, str]:
    return {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": statement.predicate_type,
    }


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
