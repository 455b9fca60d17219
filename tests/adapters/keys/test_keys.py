"""Keys: the key file, which other users must not read, and everything derived from it."""

import base64
import os
import stat
from pathlib import Path

import pytest

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.core.errors import Permanent, Unauthenticated
from danube_pkg.core.secrets.secret import SecretName, StoredSecret
from danube_pkg.kit.records import replace

NAME = SecretName("hello", "TOKEN")
VALUE = b"correct-horse-battery-staple"


def stored(keys: Keys, secret_id: str = "s1", name: SecretName = NAME, value: bytes = VALUE) -> StoredSecret:
    return StoredSecret(secret_id, name, keys.encrypt_secret(secret_id, name, value), 1.0, 1.0)


def test_the_key_is_created_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    first = Keys.open(tmp_path / "keys")
    path = tmp_path / "keys" / "encryption.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(base64.b64decode(path.read_bytes())) == 32
    again = Keys.open(tmp_path / "keys")
    assert again.decrypt_secret(stored(first)) == VALUE
    assert again.job_token("j") == first.job_token("j")
    assert again.step_key("s", 1) == first.step_key("s", 1)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_a_key_that_other_users_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    Keys.open(tmp_path)
    (tmp_path / "encryption.key").chmod(mode)
    with pytest.raises(Permanent) as refusal:
        Keys.open(tmp_path)
    assert refusal.value.reference == "key-readable"
    assert f"{mode:04o}" in refusal.value.what
    assert f"chmod 600 {tmp_path / 'encryption.key'}" in refusal.value.hint


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(bytes(31)), base64.b64encode(bytes(33))])
def test_an_invalid_key_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "encryption.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Permanent) as refusal:
        Keys.open(tmp_path)
    assert refusal.value.reference == "key-unusable"
    assert path.read_bytes() == content


def test_each_encryption_differs_and_does_not_contain_the_value() -> None:
    keys = Keys(os.urandom(32))
    found = {keys.encrypt_secret("s1", NAME, VALUE) for _ in range(100)}
    assert len(found) == len({one[:12] for one in found}) == 100
    assert not any(VALUE[:8] in one for one in found)


def test_another_key_cannot_decrypt() -> None:
    with pytest.raises(Permanent) as refusal:
        Keys(b"\1" * 32).decrypt_secret(stored(Keys(bytes(32))))
    assert refusal.value.reference == "secret-undecipherable"
    assert VALUE.decode() not in str(refusal.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "s2"},
        {"name": SecretName("another", "TOKEN")},
        {"name": SecretName(None, "TOKEN")},
        {"name": SecretName("hello", "OTHER")},
    ],
)
def test_a_value_belongs_to_its_row(changed: dict[str, object]) -> None:
    """Write access to the database does not let a pipeline read another one's value."""
    keys = Keys(bytes(32))
    with pytest.raises(Permanent):
        keys.decrypt_secret(replace(stored(keys), **changed))  # type: ignore[arg-type]


def test_each_changed_or_missing_byte_is_detected() -> None:
    keys = Keys(bytes(32))
    secret = stored(keys)
    for at in range(len(secret.value_encrypted)):
        data = bytearray(secret.value_encrypted)
        data[at] ^= 1
        with pytest.raises(Permanent):
            keys.decrypt_secret(replace(secret, value_encrypted=bytes(data)))
    for size in (0, 5, 12, 20, len(secret.value_encrypted) - 1):
        with pytest.raises(Permanent):
            keys.decrypt_secret(replace(secret, value_encrypted=secret.value_encrypted[:size]))


def test_a_job_token_has_its_job_and_cannot_be_forged() -> None:
    keys, other = Keys(bytes(32)), Keys(b"\1" * 32)
    token = keys.job_token("01job")
    assert keys.check_job_token(token) == "01job"
    forged = token.replace("01job", "02job")
    wrong = ("", "x", token[:-1], token + "x", forged, other.job_token("01job"), token.replace("dj1", "dj2"), "dj1..ü")
    for one in wrong:
        with pytest.raises(Unauthenticated):
            keys.check_job_token(one)


def test_each_attempt_of_each_step_has_its_own_key() -> None:
    keys = Keys(bytes(32))
    names = [("s", 1), ("s", 2), ("s1", 1), ("s\0001", 1), ("t", 1)]
    assert len({keys.step_key(*name) for name in names}) == len(names)
    assert all(len(keys.step_key(*name)) == 32 for name in names)
