"""The encryption key from a systemd credential or the environment."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.keys.given_key import CREDENTIAL, VARIABLE, offer_key
from danube_pkg.adapters.keys.keys import KEY_NAME, Keys
from danube_pkg.bootstrap.store import open_store
from danube_pkg.cli.encryption_key import take_key_from_environment
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops.rotate_key import rotate_encryption_key

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    offer_key("", "")
    yield
    offer_key("", "")


async def test_a_server_works_without_a_key_in_its_directory(tmp_path: Path) -> None:
    credentials, data = tmp_path / "credentials", tmp_path / "data"
    credentials.mkdir()
    (credentials / CREDENTIAL).write_text(f"{KEY}\n")
    offer_key("", str(credentials))
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
    take_key_from_environment()
    for _ in range(2):
        assert Keys.open(tmp_path / "keys").fingerprint == Keys(bytes(range(32))).fingerprint
    assert VARIABLE not in os.environ


def test_two_keys_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    Keys.open(tmp_path / "keys")
    offer_key(KEY, "")
    with pytest.raises(Permanent, match="another one comes from the variable"):
        Keys.open(tmp_path / "keys")
    offer_key("too short", "")
    with pytest.raises(Permanent, match="is not an encryption key") as refusal:
        Keys.open(tmp_path / "other")
    assert "too short" not in str(refusal.value)
