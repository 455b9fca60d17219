"""DSSE envelopes, version 1.0.2 (https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md)."""

import base64
import binascii
import json
from typing import Any

from danube_pkg.core.errors import Permanent
from danube_pkg.kit.records import Record

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""The type of in-toto statements (https://github.com/in-toto/attestation, spec/v1/envelope.md)."""

MAX_ENVELOPE_BYTES = 16 * 1024**2
"""A job of 2000 steps and 1000 artifacts has a statement of one to two megabytes."""

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


class Signature(Record):
    """key_id: a hint which key has signed; it is not authenticated, so nothing may depend on it."""

    key_id: str
    value: bytes


class Envelope(Record):
    """A payload with its type and signatures."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that each signature covers."""
        return pre_authentication_encoding(self.payload_type, self.payload)

    def encode(self) -> bytes:
        """The envelope as JSON, in one line without its end."""
        return json.dumps(self.document(), separators=(",", ":")).encode()

    def document(self) -> dict[str, Any]:
        """The envelope as JSON values."""
        signatures = [{"keyid": one.key_id, "sig": _base64(one.value)} for one in self.signatures]
        return {"payload": _base64(self.payload), "payloadType": self.payload_type, "signatures": signatures}

    def bundle(self) -> dict[str, Any]:
        """As a Sigstore bundle, version 0.3, verified by a public key: without certificate and transparency log.

        Its signatures have no `keyid`, which DSSE leaves to each user: cosign 3.0.4 passes over a signature whose
        `keyid` is not the key's fingerprint in OpenSSH's form. The bundle's own hint names the key.
        """
        hint = self.signatures[0].key_id if self.signatures else ""
        document = self.document()
        signatures = [{"sig": one["sig"]} for one in document["signatures"]]
        return {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": hint},
                "tlogEntries": [],
                "timestampVerificationData": {"rfc3161Timestamps": []},
            },
            "dsseEnvelope": {**document, "signatures": signatures},
        }


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """PAE of DSSE: type and payload, each with its length in bytes as decimal digits."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelopes(data: bytes) -> list[Envelope]:
    """The envelopes of a file: one envelope, one Sigstore bundle, or one of either in each line (`.intoto.jsonl`).

    Raises Permanent `not-an-envelope`.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise _no_envelope(f"it has more than {MAX_ENVELOPE_BYTES} bytes")
    try:
        documents = [json.loads(data)]
    except (ValueError, RecursionError):
        try:
            documents = [json.loads(line) for line in data.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise _no_envelope("it is not JSON") from error
    if not documents:
        raise _no_envelope("it is empty")
    return [_envelope(one) for one in documents]


def _envelope(document: Any) -> Envelope:
    hint = ""
    try:
        if isinstance(document, dict) and "dsseEnvelope" in document:
            material = document.get("verificationMaterial") or {}
            hint = str((material.get("publicKey") or {}).get("hint") or "")
            document = document["dsseEnvelope"]
        payload, payload_type = document["payload"], document["payloadType"]
        signatures = tuple(
            Signature(str(one.get("keyid") or hint), _from_base64(one["sig"])) for one in document["signatures"]
        )
        if not isinstance(payload_type, str):
            raise _no_envelope("its payloadType is not text")
        return Envelope(_from_base64(payload), payload_type, signatures)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise _no_envelope("it is not a DSSE envelope with payload, payloadType and signatures") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    """Standard or URL-safe, as verifiers must accept both. Raises ValueError."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _no_envelope(cause: str) -> Permanent:
    return Permanent(
        "not-an-envelope",
        "the provenance cannot be read",
        cause=cause,
        hint="get it from the server: danube artifacts provenance JOB --output FILE",
    )
