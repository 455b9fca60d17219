"""DSSE envelopes: the protocol's own vector, both alphabets of base64, and what is refused."""

import base64
import json

import pytest

from danube_pkg.core.errors import Permanent
from danube_pkg.core.provenance.envelope import (
    MAX_ENVELOPE_BYTES,
    PAYLOAD_TYPE,
    Envelope,
    Signature,
    pre_authentication_encoding,
    read_envelopes,
)

ENVELOPE = Envelope(b'{"a":"\xc3\xbc>?"}', PAYLOAD_TYPE, (Signature("key", bytes(range(64))),))


def test_the_protocols_vector() -> None:
    """protocol.md of https://github.com/secure-systems-lab/dsse."""
    found = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert found == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_those_of_bytes() -> None:
    assert pre_authentication_encoding("tü", "ü".encode()) == "DSSEv1 3 tü 2 ü".encode()


def test_an_envelope_is_read_as_it_was_written() -> None:
    line = ENVELOPE.encode()
    assert b"\n" not in line
    assert read_envelopes(line) == [ENVELOPE]
    assert read_envelopes(line + b"\n" + line + b"\n") == [ENVELOPE, ENVELOPE]
    bundle = ENVELOPE.bundle()
    assert "keyid" not in bundle["dsseEnvelope"]["signatures"][0]  # cosign would compare it
    assert read_envelopes(json.dumps(bundle).encode()) == [ENVELOPE]
    bundle["dsseEnvelope"] = ENVELOPE.document()  # as older versions wrote it
    assert read_envelopes(json.dumps(bundle).encode()) == [ENVELOPE]


def test_both_alphabets_are_read() -> None:
    document = ENVELOPE.document()
    document["payload"] = base64.urlsafe_b64encode(ENVELOPE.payload).decode()
    assert read_envelopes(json.dumps(document, indent=1).encode()) == [ENVELOPE]


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in ENVELOPE.document().items() if key != name}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"[]",
        b"null",
        b"3",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'{"payload": "?", "payloadType": "t", "signatures": []}',
        b'{"payload": "YQ==", "payloadType": 3, "signatures": []}',
        b'{"payload": "YQ==", "payloadType": "t", "signatures": [{"sig": 3}]}',
        b'{"payload": "YQ==", "payloadType": "t", "signatures": ["x"]}',
        b'{"dsseEnvelope": []}',
        b" " * (MAX_ENVELOPE_BYTES + 1),
        *(_without(name) for name in ("payload", "payloadType", "signatures")),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_what_is_not_an_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(Permanent) as refusal:
        read_envelopes(data)
    assert refusal.value.reference == "not-an-envelope"
