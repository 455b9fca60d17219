"""Secrets: read by jobs, masked for as long as a job could show them, then forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import Database, SqliteSecrets
from danube_pkg.core.errors import Conflict, Invalid, NotFound, Permanent, TooLarge
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.secrets.secret import SecretName, SecretRead
from danube_pkg.services.jobs import engine as jobs_module
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.services.stores import PIPELINE, UnrulyJobs, a_job, open_database
from tests.support.engine import open_engine_setup
from tests.support.waiting import wait_until_async

JOB = a_job()
GLOBAL = SecretName(None, "TOKEN")
OWN = SecretName(PIPELINE.name, "TOKEN")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("secrets never sleep")


class Vault:
    """The service with the real store and cipher."""

    def __init__(self, database: Database, overrides: dict[str, bytes] | None = None) -> None:
        self.clock = Clock()
        self.store = SqliteSecrets(database)
        self.known = KnownValues()
        self._ids = iter(f"secret-{number}" for number in range(1000))
        self.secrets = self.with_key(bytes(32), overrides)

    def with_key(self, master: bytes, overrides: dict[str, bytes] | None = None) -> Secrets:
        return Secrets(self.store, Keys(master), self.clock, lambda: next(self._ids), self.known, overrides)

    async def masked(self) -> set[bytes]:
        return set(await self.secrets.values_to_mask(PIPELINE.name))


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path) as made:
        await UnrulyJobs(made).create_jobs([JOB])
        yield made


@pytest.fixture
def vault(database: Database) -> Vault:
    return Vault(database)


async def test_the_last_read_is_kept_for_each_secret_and_not_for_each_key(vault: Vault) -> None:
    await vault.secrets.set(GLOBAL, b"for all pipelines", "me")
    assert await vault.secrets.last_read(GLOBAL) is None
    await vault.secrets.read_for_job(JOB, 1, "TOKEN")
    vault.clock.time = 2000.0
    await vault.secrets.set(OWN, b"only for hello", "me")
    assert await vault.secrets.last_read(OWN) is None
    await vault.secrets.read_for_job(JOB, 2, "TOKEN")
    vault.clock.time = 3000.0
    await vault.secrets.set(OWN, b"another for hello", "me")
    assert await vault.secrets.last_read(GLOBAL) == SecretRead(JOB.id, "hello", 1000.0)
    assert await vault.secrets.last_read(OWN) == SecretRead(JOB.id, "hello", 2000.0)


async def test_a_pipelines_own_value_takes_precedence_over_the_global_one(vault: Vault) -> None:
    await vault.secrets.set(GLOBAL, b"for all pipelines", "me")
    assert await vault.secrets.read_for_job(JOB, 1, "TOKEN") == b"for all pipelines"
    await vault.secrets.set(OWN, b"only for hello", "me")
    assert await vault.secrets.read_for_job(JOB, 2, "TOKEN") == b"only for hello"
    other = a_job("02job", pipeline="another")
    assert await vault.masked() == {b"for all pipelines", b"only for hello"}
    assert set(await vault.secrets.values_to_mask(other.pipeline)) == {b"for all pipelines"}
    assert [str(one.name) for one in await vault.secrets.list(PIPELINE.name)] == ["hello/TOKEN"]


async def test_an_unset_secrets_hint_has_the_command(vault: Vault) -> None:
    with pytest.raises(NotFound) as refusal:
        await vault.secrets.read_for_job(JOB, 1, "TOKEN")
    assert "danube secrets set TOKEN --pipeline hello" in refusal.value.hint


async def test_values_of_one_run_take_precedence_and_are_not_stored(database: Database, tmp_path: Path) -> None:
    vault = Vault(database, {"TOKEN": b"of-this-run-only"})
    await vault.secrets.set(GLOBAL, b"for all pipelines", "me")
    assert await vault.secrets.read_for_job(JOB, 1, "TOKEN") == b"of-this-run-only"
    assert await vault.masked() == {b"for all pipelines", b"of-this-run-only"}
    assert not any(b"of-this-run-only" in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "kind"), [(b"abc", Invalid), (b"  abc \n", Invalid), (b"x" * (64 * 1024 + 1), TooLarge)]
)
async def test_values_that_cannot_be_masked_or_stored_are_refused(
    vault: Vault, value: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as refusal:
        await vault.secrets.set(GLOBAL, value, "me")
    assert value.decode().strip()[:40] not in str(refusal.value) or len(value) < 4
    assert list(await vault.secrets.list(None)) == []


async def test_every_read_is_recorded_once(vault: Vault, database: Database) -> None:
    await vault.secrets.set(GLOBAL, b"for all pipelines", "me")
    for sequence in (1, 2, 2, 2):
        vault.clock.time += 1
        await vault.secrets.read_for_job(JOB, sequence, "TOKEN")
    rows = database.read("SELECT * FROM secret_reads ORDER BY sequence")
    assert [(row["job_id"], row["sequence"], row["key"], row["at"]) for row in rows] == [
        (JOB.id, 1, "TOKEN", 1001.0),
        (JOB.id, 2, "TOKEN", 1002.0),
    ]


async def test_replaced_and_removed_values_stay_masked_until_they_are_forgotten(vault: Vault) -> None:
    await vault.secrets.set(GLOBAL, b"the first", "me")
    vault.clock.time = 2000.0
    await vault.secrets.set(GLOBAL, b"the second", "me")
    vault.clock.time = 3000.0
    assert await vault.secrets.delete(GLOBAL, "me")
    assert not await vault.secrets.delete(GLOBAL, "me")
    assert await vault.masked() == {b"the first", b"the second"}
    await vault.secrets.forget_retired(2000.0)
    assert await vault.masked() == {b"the first", b"the second"}, "a job that was made at that moment may have read it"
    await vault.secrets.forget_retired(2000.5)
    assert await vault.masked() == {b"the second"}
    await vault.secrets.forget_retired(3000.5)
    assert await vault.masked() == set()


async def test_an_undecipherable_value_does_not_prevent_masking_the_others(vault: Vault) -> None:
    await vault.with_key(b"\1" * 32).set(GLOBAL, b"cannot be read", "me")
    await vault.secrets.set(OWN, b"can be read", "me")
    assert await vault.masked() == {b"can be read"}
    with pytest.raises(Permanent) as refusal:
        await vault.secrets.read_for_job(a_job(pipeline="another"), 1, "TOKEN")
    assert refusal.value.reference == "secret-undecipherable"


async def test_a_replaced_value_is_forgotten_when_the_last_job_that_could_know_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "FORGET_SECONDS", 0.05)
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(GLOBAL, b"the first", "me")
        old = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await setup.secrets.set(GLOBAL, b"the second", "me")
        young = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        rounds = setup.forget_rounds[0]
        await wait_until_async(lambda: setup.forget_rounds[0] > rounds + 3, 20, "some rounds")
        assert set(await setup.secrets.values_to_mask(PIPELINE.name)) == {b"the first", b"the second"}
        await setup.engine.cancel(old.id, "me")

        def retired() -> int:
            return len(setup.database.read("SELECT * FROM retired_secrets"))

        await wait_until_async(lambda: not retired(), 20, "the first value to be forgotten")
        assert setup.engine.active_job(young.id).job.phase is not Phase.CLOSED
        assert set(await setup.secrets.values_to_mask(PIPELINE.name)) == {b"the second"}


def test_the_servers_own_log_masks_every_value_that_it_has_held() -> None:
    known = KnownValues()
    assert known.redact("nothing to hide") == "nothing to hide"
    known.add(b"hunter2-hunter2")
    assert known.redact("the password is hunter2-hunter2!") == "the password is ***!"
    known.add(b"another-value")
    assert known.redact("another-value, hunter2-hunter2") == "***, ***"


async def test_another_key_under_a_used_number_is_refused(vault: Vault) -> None:
    """Its read would stand in no record: each key that was read is in the audit."""
    other = SecretName(None, "OTHER")
    await vault.secrets.set(GLOBAL, b"correct-horse", "me")
    await vault.secrets.set(other, b"battery-staple", "me")
    await vault.secrets.read_for_job(JOB, 1, "TOKEN")
    with pytest.raises(Conflict, match="call 1 read the secret 'TOKEN' and now names 'OTHER'"):
        await vault.secrets.read_for_job(JOB, 1, "OTHER")
    assert await vault.secrets.used_by(JOB.id) == ["TOKEN"]
    assert await vault.secrets.last_read(other) is None


async def test_a_repeated_read_that_leads_to_another_secret_is_recorded(vault: Vault) -> None:
    await vault.secrets.set(GLOBAL, b"correct-horse", "me")
    await vault.secrets.read_for_job(JOB, 1, "TOKEN")
    await vault.secrets.set(OWN, b"battery-staple", "me")
    assert await vault.secrets.read_for_job(JOB, 1, "TOKEN") == b"battery-staple"
    assert await vault.secrets.last_read(OWN) is not None
