"""Reading the server name: real ClientHellos, split at each byte, in records of each size, and invalid input."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.egress.client_hello import (
    MAX_HELLO_BYTES,
    ClientHello,
    MalformedHello,
    looks_like_tls,
    read_client_hello,
)


def real_hello(server_name: str | None, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """A ClientHello of OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    context.set_alpn_protocols(["h2", "http/1.1"])
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


HELLO = real_hello("files.example.org")


def in_records(hello: bytes, size: int) -> bytes:
    """The same message in TLS records of at most `size` bytes."""
    message = hello[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts)


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size) + data


def name_extension(*names: bytes, kind: int = 0) -> bytes:
    entries = b"".join(bytes([kind]) + vector(2, name) for name in names)
    return (0).to_bytes(2) + vector(2, vector(2, entries))


def made_hello(extensions: bytes | None, *, behind: bytes = b"", kind: int = 1) -> bytes:
    """A ClientHello written by hand; None: without extensions."""
    body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\x00")
    if extensions is not None:
        body += vector(2, extensions) + behind
    return b"\x16\x03\x01" + vector(2, bytes([kind]) + vector(3, body))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_is_found(newest: ssl.TLSVersion) -> None:
    assert read_client_hello(real_hello("files.example.org", newest=newest)) == ClientHello("files.example.org")
    assert read_client_hello(real_hello(None, newest=newest)) == ClientHello(None)
    assert read_client_hello(made_hello(None)) == ClientHello(None)


def test_an_incomplete_hello_is_not_parsed() -> None:
    """At each split point: no result before the last byte, and later bytes do not change it."""
    for end in range(len(HELLO)):
        assert read_client_hello(HELLO[:end]) is None
    assert read_client_hello(HELLO + b"\x14\x03\x03\x00\x01\x01anything") == ClientHello("files.example.org")


def test_records_of_each_size_have_the_same_message() -> None:
    for size in range(1, len(HELLO)):
        cut = in_records(HELLO, size)
        assert read_client_hello(cut) == ClientHello("files.example.org")
        assert read_client_hello(cut[:-1]) is None


def test_the_outer_name_of_an_encrypted_hello_counts() -> None:
    """The outer name is the one that the network sees; the inner one is in another extension."""
    encrypted = (0xFE0D).to_bytes(2) + vector(2, b"\x00inner.example")
    outer = made_hello(encrypted + name_extension(b"outer.example"))
    assert read_client_hello(outer) == ClientHello("outer.example")
    assert read_client_hello(made_hello(encrypted)) == ClientHello(None)


NAMED = name_extension(b"a.example")
SPLIT = in_records(HELLO, 40)

MALFORMED = {
    "two extensions": made_hello(NAMED + name_extension(b"b.example")),
    "two names": made_hello(name_extension(b"a.example", b"b.example")),
    "a name of another kind": made_hello(name_extension(b"a.example", kind=1)),
    "an empty name": made_hello(name_extension(b"")),
    "a zero byte": made_hello(name_extension(b"a\x00b.example")),
    "not ASCII": made_hello(name_extension("é.example".encode())),
    "a byte behind": made_hello(NAMED, behind=b"\x00"),
    "an empty extension": made_hello((0).to_bytes(2) + vector(2, b"")),
    "an incomplete extension": made_hello(NAMED[:-1]),
    "not a client": made_hello(NAMED, kind=2),
    "an empty record": b"\x16\x03\x01\x00\x00" + HELLO,
    "another type of record": HELLO[:5].replace(b"\x16", b"\x15") + HELLO[5:],
    "an alert in between": SPLIT[:45] + b"\x15\x03\x01\x00\x02\x01\x00" + SPLIT[45:],
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(100),
    "a message that is too long": b"\x16\x03\x01\x40\x00\x01" + (MAX_HELLO_BYTES + 1).to_bytes(3) + bytes(2**14 - 4),
    "another version": b"\x16\x02\x01\x00\x05\x01\x00\x00\x01\x00",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_ambiguous_input_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedHello):
        read_client_hello(data)


def test_an_endless_message_is_malformed() -> None:
    drip = in_records(b"\x16\x03\x01\x00\x00" + b"\x01\x00\xff\xff" + bytes(70_000), 1)
    with pytest.raises(MalformedHello):
        read_client_hello(drip)


@given(st.binary(max_size=300))
def test_random_bytes_raise_no_other_error(data: bytes) -> None:
    try:
        found = read_client_hello(b"\x16\x03\x01" + data)
    except MalformedHello:
        return
    assert found is None or isinstance(found, ClientHello)


@given(st.integers(5, len(HELLO) - 1), st.integers(0, 255))
def test_one_changed_byte_raises_no_other_error(at: int, value: int) -> None:
    changed = HELLO[:at] + bytes([value]) + HELLO[at + 1 :]
    try:
        found = read_client_hello(changed)
    except MalformedHello:
        return
    assert found is None or found.server_name is None or found.server_name.isascii()


def test_tls_is_recognised_by_its_first_byte() -> None:
    for data in (b"GET / HTTP/1.1", b"SSH-2.0-OpenSSH", b"\x80\x2e\x01\x03\x01", b""):
        assert not looks_like_tls(data)
    assert looks_like_tls(HELLO[:1])
