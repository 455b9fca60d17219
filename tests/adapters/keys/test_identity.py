"""The key of identity tokens: private, made when it is first needed, and read by an independent library."""

import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from danube_pkg.adapters.keys.identity import IdentityKeyFile
from danube_pkg.adapters.store import SqliteServerState
from danube_pkg.core.errors import Permanent
from tests.services.stores import open_database

CLAIMS = {"iss": "https://ci.example.org", "sub": "pipeline:app:ref:refs/heads/main", "n": 1}


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SqliteServerState]:
    async with open_database(tmp_path) as database:
        yield SqliteServerState(database)


def decoded(token: str, key_set: Any) -> Any:
    return jwt.decode(token, KeySet.import_key_set(key_set), algorithms=["RS256"])


async def test_a_token_is_read_with_the_published_key_and_by_its_id(tmp_path: Path, state: SqliteServerState) -> None:
    keys = IdentityKeyFile(tmp_path / "keys", state)
    path = tmp_path / "keys" / "identity.key"
    assert not path.exists(), "a server that issues no token has no such key"
    token = await keys.sign_token(CLAIMS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key_set = await IdentityKeyFile(tmp_path / "keys", state).key_set()
    found = decoded(token, key_set)
    assert found.claims == CLAIMS
    assert found.header["kid"] == key_set["keys"][0]["kid"]
    assert set(key_set["keys"][0]) == {"kty", "n", "e", "alg", "use", "kid"}, "no private part"
    head, body, signature = token.split(".")
    with pytest.raises(JoseError):
        decoded(f"{head}.{body[:-2]}AA.{signature}", key_set)


async def test_a_key_that_was_lost_or_is_readable_is_refused(tmp_path: Path, state: SqliteServerState) -> None:
    await IdentityKeyFile(tmp_path / "keys", state).key_set()
    path = tmp_path / "keys" / "identity.key"
    path.chmod(0o644)
    with pytest.raises(Permanent, match="readable by other users"):
        await IdentityKeyFile(tmp_path / "keys", state).key_set()
    shutil.rmtree(tmp_path / "keys")
    with pytest.raises(Permanent) as refusal:
        await IdentityKeyFile(tmp_path / "keys", state).sign_token(CLAIMS)
    assert refusal.value.reference == "key-missing"
    assert not path.exists()


async def test_what_is_not_an_rsa_key_is_refused(tmp_path: Path, state: SqliteServerState) -> None:
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "identity.key"
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(Permanent) as refusal:
        await IdentityKeyFile(tmp_path / "keys", state).key_set()
    assert refusal.value.reference == "key-unusable"
