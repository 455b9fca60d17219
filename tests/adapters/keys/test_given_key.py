"""The encryption key from a systemd credential or the environment."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.keys.given_key import CREDENTIAL, VARIABLE, _from_environment
from danube_pkg.adapters.keys.keys import KEY_NAME, Keys
from danube_pkg.bootstrap.store import open_store
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops.rotate_key import rotate_encryption_key

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    _from_environment.cache_clear()
    yield
    _from_environment.cache_clear()


async def test_a_server_works_without_a_key_in_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials, data = tmp_path / "credentials", tmp_path / "data"
    credentials.mkdir()
    (credentials / CREDENTIAL).write_text(f"{KEY}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    async with open_store(data) as store:
        fingerprint = store.keys.fingerprint
    assert fingerprint == Keys(bytes(range(32))).fingerprint
    assert not (data / "keys" / KEY_NAME).exists()
    with pytest.raises(Conflict, match="which a rotation cannot replace"):
        await rotate_encryption_key(data, "alice", SystemClock())
    (credentials / CREDENTIAL).write_text(base64.b64encode(bytes(32)).decode())
    with pytest.raises(Permanent) as refusal:
        async with open_store(data):
            pytest.fail("it opened with another key")
    assert refusal.value.reference == "key-changed"
    (credentials / CREDENTIAL).unlink()
    with pytest.raises(Permanent, match=f"there is no .*{KEY_NAME}"):
        async with open_store(data):
            pytest.fail("it opened without a key")


def test_the_variable_is_taken_out_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    for _ in range(2):
        assert Keys.open(tmp_path / "keys").fingerprint == Keys(bytes(range(32))).fingerprint
    assert VARIABLE not in os.environ


def test_two_keys_and_a_damaged_one_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Keys.open(tmp_path / "keys")
    monkeypatch.setenv(VARIABLE, KEY)
    _from_environment.cache_clear()
    with pytest.raises(Permanent, match="another one comes from the variable"):
        Keys.open(tmp_path / "keys")
    monkeypatch.setenv(VARIABLE, "too short")
    _from_environment.cache_clear()
    with pytest.raises(Permanent, match="is not an encryption key") as refusal:
        Keys.open(tmp_path / "other")
    assert "too short" not in str(refusal.value)
