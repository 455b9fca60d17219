"""Secrets in the store: one current value, the retired ones kept until they are forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.store import Database, SqliteSecrets
from danube_pkg.core.secrets.secret import SecretName, StoredSecret
from tests.support.databases import connection_of, open_new_database

GLOBAL = SecretName(None, "K")
OWN = SecretName("hello", "K")


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = open_new_database(tmp_path / "danube.db")
    yield made
    await made.close()


@pytest.fixture
def secrets(database: Database) -> SqliteSecrets:
    return SqliteSecrets(database)


def value(secret_id: str, name: SecretName, at: float) -> StoredSecret:
    return StoredSecret(secret_id, name, f"encrypted {secret_id}".encode(), at, at)


async def test_a_secret_may_be_set_before_its_pipeline_and_is_separate_from_global_ones(secrets: SqliteSecrets) -> None:
    await secrets.put_secret(value("g", GLOBAL, 1))
    await secrets.put_secret(value("o", OWN, 2))
    assert await secrets.load_secret(GLOBAL) == value("g", GLOBAL, 1)
    assert await secrets.load_secret(OWN) == value("o", OWN, 2)
    assert await secrets.load_secret(SecretName("other", "K")) is None
    assert list(await secrets.list_secrets(None)) == [value("g", GLOBAL, 1)]
    assert list(await secrets.list_secrets("hello")) == [value("o", OWN, 2)]


@pytest.mark.parametrize("name", [GLOBAL, OWN])
async def test_a_replaced_value_is_retired(secrets: SqliteSecrets, name: SecretName) -> None:
    for number in range(4):
        await secrets.put_secret(value(f"s{number}", name, float(number)))
    assert await secrets.load_secret(name) == value("s3", name, 3)
    known = {one.id: one for one in await secrets.maskable_secrets("hello")}
    assert set(known) == {"s0", "s1", "s2", "s3"}
    assert {one.id: one.retired_at for one in known.values()} == {"s0": 1.0, "s1": 2.0, "s2": 3.0, "s3": None}
    assert known["s1"].value_encrypted == b"encrypted s1"
    assert known["s1"].name == name, "it is part of what the value is bound to"


async def test_other_pipelines_secrets_are_not_masked(secrets: SqliteSecrets) -> None:
    for secret_id, pipeline in (("g", None), ("o", "hello"), ("x", "other")):
        name = SecretName(pipeline, "K")
        await secrets.put_secret(value(secret_id, name, 1))
        await secrets.put_secret(value(f"{secret_id}2", name, 2))
    assert {one.id for one in await secrets.maskable_secrets("hello")} == {"g", "g2", "o", "o2"}


async def test_a_removed_value_is_retired_and_its_name_is_unset(secrets: SqliteSecrets) -> None:
    await secrets.put_secret(value("s", OWN, 1))
    assert await secrets.delete_secret(OWN, 5.0)
    assert not await secrets.delete_secret(OWN, 6.0)
    assert await secrets.load_secret(OWN) is None
    assert [one.retired_at for one in await secrets.maskable_secrets("hello")] == [5.0]
    await secrets.put_secret(value("s2", OWN, 7))
    assert len(await secrets.maskable_secrets("hello")) == 2


async def test_forgetting_deletes_only_values_retired_before_then(secrets: SqliteSecrets, database: Database) -> None:
    for number in range(5):
        await secrets.put_secret(value(f"s{number}", OWN, float(number)))
    assert await secrets.forget_retired_secrets(3.0) == 2
    assert {one.id for one in await secrets.maskable_secrets("hello")} == {"s2", "s3", "s4"}
    written: list[str] = []
    connection_of(database).set_trace_callback(written.append)
    assert await secrets.forget_retired_secrets(3.0) == 0
    assert written == [], "an idle server does not write every minute"
    assert await secrets.forget_retired_secrets(1e12) == 2
    assert {one.id for one in await secrets.maskable_secrets("hello")} == {"s4"}


async def test_the_repr_of_a_stored_secret_hides_its_value(secrets: SqliteSecrets) -> None:
    await secrets.put_secret(value("s", OWN, 1))
    assert "encrypted" not in repr(await secrets.load_secret(OWN))
