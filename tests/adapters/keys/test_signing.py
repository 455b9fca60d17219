"""The signing key: private, Ed25519, rotated without losing the public half of a key that has signed."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from danube_pkg.adapters.keys import signing
from danube_pkg.adapters.keys.signing import SigningKeys, is_signed_by, read_public_key
from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.files import write_atomically

DATA = b"what is signed"


def opened(path: Path) -> SigningKeys:
    return SigningKeys.open(path, SystemClock())


async def test_the_key_is_created_once_as_pkcs8_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    keys = opened(tmp_path / "keys")
    path = tmp_path / "keys" / "signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert isinstance(load_pem_private_key(path.read_bytes(), None), ed25519.Ed25519PrivateKey)
    signature = await keys.sign(DATA)
    again = opened(tmp_path / "keys")
    assert again.public_keys() == [keys.current]
    assert signature.key_id == again.current.id
    assert is_signed_by(again.current, signature.value, DATA)
    assert not is_signed_by(again.current, signature.value, DATA + b".")
    assert not is_signed_by(again.current, signature.value[:-1], DATA)


def test_a_key_that_other_users_can_read_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "signing.key").chmod(0o640)
    with pytest.raises(Permanent, match="readable by other users") as refusal:
        opened(tmp_path)
    assert "chmod 600" in refusal.value.hint


def _pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        _pem(ec.generate_private_key(ec.SECP256R1()), NoEncryption()),
        _pem(ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b"passphrase")),
    ],
    ids=["empty", "text", "another kind", "with a passphrase"],
)
def test_what_is_not_such_a_key_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Permanent) as refusal:
        opened(tmp_path)
    assert refusal.value.reference == "key-unusable"
    assert path.read_bytes() == content


async def test_a_rotation_keeps_the_public_half_of_every_key(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    first, old = keys.current, await keys.sign(DATA)
    second = await keys.rotate()
    third = await keys.rotate()
    assert (await keys.sign(DATA)).key_id == third.id
    for known in (keys.public_keys(), opened(tmp_path).public_keys()):
        assert [one.id for one in known] == [third.id, second.id, first.id]
        assert [one.retired_at is None for one in known] == [True, False, False]
        assert is_signed_by(known[2], old.value, DATA)
    history = tmp_path / "history" / f"{first.id}.pem"
    assert "PRIVATE" not in history.read_text()
    assert read_public_key(history.read_text()).id == first.id


@pytest.mark.parametrize("write", [1, 2])
async def test_a_rotation_that_is_killed_leaves_one_of_both_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """Each write is atomic, so that the points are before the first and between the two."""
    keys = opened(tmp_path)
    before, count = keys.current, 0

    def killed(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        nonlocal count
        count += 1
        if count == write:
            raise KeyboardInterrupt
        write_atomically(path, data, mode=mode)

    monkeypatch.setattr(signing, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        await keys.rotate()
    monkeypatch.undo()
    again = opened(tmp_path)
    assert again.public_keys() == [before], "the old key still signs, and is not listed as retired"
    after = await again.rotate()
    assert [one.id for one in opened(tmp_path).public_keys()] == [after.id, before.id]


async def test_a_rotation_on_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = opened(tmp_path)
    before = keys.current

    def full(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(signing, "write_atomically", full)
    with pytest.raises(StorageFull):
        await keys.rotate()
    monkeypatch.undo()
    assert (await keys.sign(DATA)).key_id == before.id
    assert opened(tmp_path).public_keys() == [before]


async def test_a_damaged_history_is_refused(tmp_path: Path) -> None:
    keys = opened(tmp_path)
    first = keys.current
    await keys.rotate()
    (tmp_path / "history" / f"{first.id}.pem").write_bytes(os.urandom(100))
    with pytest.raises(Permanent, match="retired key"):
        opened(tmp_path)


def test_the_id_is_the_hash_of_the_public_key(tmp_path: Path) -> None:
    """RFC 8410 has this key as an example; the id was computed with `openssl pkey -pubin -outform DER | sha256sum`."""
    pem = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
    key = read_public_key("some text before it\n" + pem)
    assert json.dumps(key.pem) == json.dumps(pem)
    assert key.id == "a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f"
