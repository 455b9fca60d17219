"""Secrets: read by jobs, masked for as long as a job could show them, then forgotten."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import Database, SqliteSecrets
from danube_pkg.core.egress.host_masks import host_forms
from danube_pkg.core.egress.ledger import Contact, Way
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.errors import Conflict, Invalid, NotFound, Permanent, TooLarge
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.logs.clear_text import clear_texts
from danube_pkg.core.logs.redaction import ValueSet
from danube_pkg.core.secrets.secret import SecretName, SecretRead
from danube_pkg.services import egress as egress_module
from danube_pkg.services import secrets as secrets_module
from danube_pkg.services.egress import Egress
from danube_pkg.services.jobs import engine as jobs_module
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.fakes.egress import NoProxies
from tests.services.stores import PIPELINE, UnrulyJobs, a_job, no_token, open_database
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
    await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token)
    vault.clock.time = 2000.0
    await vault.secrets.set(OWN, b"only for hello", "me")
    assert await vault.secrets.last_read(OWN) is None
    await vault.secrets.read_for_job(JOB, 2, "TOKEN", no_token)
    vault.clock.time = 3000.0
    await vault.secrets.set(OWN, b"another for hello", "me")
    assert await vault.secrets.last_read(GLOBAL) == SecretRead(JOB.id, "hello", 1000.0)
    assert await vault.secrets.last_read(OWN) == SecretRead(JOB.id, "hello", 2000.0)


async def test_a_pipelines_own_value_takes_precedence_over_the_global_one(vault: Vault) -> None:
    await vault.secrets.set(GLOBAL, b"for all pipelines", "me")
    assert await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token) == b"for all pipelines"
    await vault.secrets.set(OWN, b"only for hello", "me")
    assert await vault.secrets.read_for_job(JOB, 2, "TOKEN", no_token) == b"only for hello"
    other = a_job("02job", pipeline="another")
    assert await vault.masked() == {b"for all pipelines", b"only for hello"}
    assert set(await vault.secrets.values_to_mask(other.pipeline)) == {b"for all pipelines"}
    assert [str(one.name) for one in await vault.secrets.list(PIPELINE.name)] == ["hello/TOKEN"]


async def test_an_unset_secrets_hint_has_the_command(vault: Vault) -> None:
    with pytest.raises(NotFound) as refusal:
        await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token)
    assert "danube secrets set TOKEN --pipeline hello" in refusal.value.hint


async def test_values_of_one_run_take_precedence_and_are_not_stored(database: Database, tmp_path: Path) -> None:
    vault = Vault(database, {"TOKEN": b"of-this-run-only"})
    await vault.secrets.set(GLOBAL, b"for all pipelines", "me")
    assert await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token) == b"of-this-run-only"
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
        await vault.secrets.read_for_job(JOB, sequence, "TOKEN", no_token)
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
        await vault.secrets.read_for_job(a_job(pipeline="another"), 1, "TOKEN", no_token)
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


async def test_the_servers_own_log_masks_every_value_that_something_holds() -> None:
    known = KnownValues()
    assert known.redact("nothing to hide") == "nothing to hide"
    known.add(b"hunter2-hunter2")
    assert known.redact("the password is hunter2-hunter2!") == "the password is ***!"
    held = await known.compiled([b"another-value"])
    assert known.redact("another-value, hunter2-hunter2") == "***, ***"
    assert held.values == {b"another-value"}
    await known.hold("TOKEN", b"the-first-token")
    await known.hold("TOKEN", b"the-second-token")
    text, masked = "the-first-token the-second-token", "the-first-token ***"
    await wait_until_async(lambda: known.redact(text) == masked, 20, "the first one to be dropped")
    known.release("TOKEN")
    await wait_until_async(
        lambda: known.redact("the-second-token") == "the-second-token", 20, "the value to be dropped"
    )


def test_the_servers_own_log_masks_e_mail_addresses() -> None:
    assert KnownValues().redact('{"actor": "bob@example.com", "at": "x@y"}') == '{"actor": "***", "at": "x@y"}'


def test_the_servers_own_log_masks_tokens_that_others_quote() -> None:
    token = "ghp_" + "0123456789abcdef0123456789abcdef0123"
    own = "dt1_" + "a" * 43
    assert KnownValues().redact(f"the forge answered: bad credentials {token}, {own}") == (
        "the forge answered: bad credentials ***, ***"
    )


async def test_all_who_mask_the_same_values_share_one_set() -> None:
    known = KnownValues()
    one, two = await asyncio.gather(known.compiled([b"a-value", b"b-value"]), known.compiled([b"b-value", b"a-value"]))
    assert one is two
    assert await known.compiled([b"a-value"]) is not one


async def test_values_are_compiled_outside_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    class Observed(ValueSet):
        def __init__(self, values: Iterable[bytes]) -> None:
            threads.append(threading.get_ident())
            super().__init__(values)

    monkeypatch.setattr(secrets_module, "ValueSet", Observed)
    await KnownValues().compiled([b"a" * 65536])
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_a_clear_value_is_dropped_when_the_last_job_that_could_print_it_has_ended(tmp_path: Path) -> None:
    value = b"clear-" + b"value-of-a-job"
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(GLOBAL, value, "me")
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        log = await setup.resources.log(setup.engine.active_job(job.id))
        assert log.redact(value.decode()) == "***"
        del log
        assert setup.secrets.known.redact(value.decode()) == "***"
        await setup.engine.cancel(job.id, "me")
        await wait_until_async(lambda: not setup.engine.open_jobs, 20, "the job to be closed")
        await wait_until_async(lambda: gc.collect() >= 0 and not _held(value), 20, "the value to be dropped")
        assert setup.secrets.known.redact(value.decode()) == value.decode()


async def test_texts_of_requests_and_ledgers_are_masked_outside_of_the_event_loop(
    vault: Vault, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One value at the bound takes a tenth of a second."""
    threads: list[int] = []

    def observed(values: Iterable[bytes]) -> Sequence[str]:
        threads.append(threading.get_ident())
        return clear_texts(values)

    def observed_forms(values: Iterable[bytes]) -> set[str]:
        threads.append(threading.get_ident())
        return host_forms(values)

    monkeypatch.setattr(secrets_module, "clear_texts", observed)
    monkeypatch.setattr(egress_module, "host_forms", observed_forms)
    await vault.secrets.set(GLOBAL, b"correct-horse-battery", "me")
    with pytest.raises(Invalid, match="the ref holds a secret"):
        await vault.secrets.refuse_clear({"the ref": "correct-horse-battery"})
    assert await vault.secrets.masked(SecretName(None, "correct-horse-battery")) == SecretName(None, "***")
    egress = Egress(NoProxies(), FileLedgers(tmp_path), vault.secrets)
    await egress.record(JOB, Contact(1.0, "c", Way.SOURCE, None, "a.test", 443, Verdict.ALLOWED, EgressReason.LISTED))
    await egress.report(JOB)
    assert len(threads) == 4
    assert threading.get_ident() not in threads


def _held(value: bytes) -> list[object]:
    return [one for one in gc.get_objects() if isinstance(one, ValueSet) and value in one.values]


async def test_a_job_with_a_weak_secret_says_so_in_its_log(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(GLOBAL, b"main", "me")
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await setup.resources.log(setup.engine.active_job(job.id))
        await setup.engine.cancel(job.id, "me")
        await wait_until_async(lambda: not setup.engine.open_jobs, 20, "the job to be closed")
        text = (await setup.logs.read(job.id, 0, 4096)).decode()
        assert "--- a secret of this pipeline is short or an ordinary word, and masked wherever that occurs" in text


async def test_another_key_under_a_used_number_is_refused(vault: Vault) -> None:
    """Its read would stand in no record: each key that was read is in the audit."""
    other = SecretName(None, "OTHER")
    await vault.secrets.set(GLOBAL, b"correct-horse", "me")
    await vault.secrets.set(other, b"battery-staple", "me")
    await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token)
    with pytest.raises(Conflict, match="call 1 read the secret 'TOKEN' and now names 'OTHER'"):
        await vault.secrets.read_for_job(JOB, 1, "OTHER", no_token)
    assert await vault.secrets.used_by(JOB.id) == ["TOKEN"]
    assert await vault.secrets.last_read(other) is None


async def test_a_repeated_read_that_leads_to_another_secret_is_recorded(vault: Vault) -> None:
    await vault.secrets.set(GLOBAL, b"correct-horse", "me")
    await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token)
    await vault.secrets.set(OWN, b"battery-staple", "me")
    assert await vault.secrets.read_for_job(JOB, 1, "TOKEN", no_token) == b"battery-staple"
    assert await vault.secrets.last_read(OWN) is not None


def test_the_servers_own_log_masks_addresses_and_tokens_of_known_formats() -> None:
    known, token = KnownValues(), "ghp_" + "0123456789abcdef0123456789abcdef0123"
    assert known.redact(f"bob@example.com sent {token} to the forge") == "*** sent *** to the forge"
