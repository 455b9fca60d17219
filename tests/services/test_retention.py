"""Retention over a real database and real files: what it removes, and what a kill or a wrong clock does to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.retention.files import JobFileDirectories
from danube_pkg.adapters.store import Database, SqliteAudit, SqliteRetention, SqliteServerState
from danube_pkg.adapters.store.jobs import SqliteJobs
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.identity.audit import AuditKeys
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.retention.plan import DAY_SECONDS, FileKind, Removal, RetentionLimit, RetentionPolicy, Why
from danube_pkg.core.retention.registry import ImageRemoval
from danube_pkg.kit.ids import sortable_id
from danube_pkg.kit.loops import Timing
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.retention import Retention
from tests.support.databases import connection_of
from tests.support.waiting import wait_until_async

NOW = 1_800_000_000.0
POLICY = RetentionPolicy(logs=RetentionLimit(30 * DAY_SECONDS), artifacts=RetentionLimit(14 * DAY_SECONDS))


class SetClock:
    """A clock that a test sets. The monotonic one never goes back."""

    def __init__(self) -> None:
        self.wall = NOW
        self.running = 0.0
        self.pauses = 0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds

    async def sleep(self, seconds: float) -> None:
        """The first pause is over at once, the next one never."""
        self.advance(seconds)
        self.pauses += 1
        if self.pauses > 1:
            await asyncio.Event().wait()


class Server:
    """A data directory with jobs, and the retention of a server that was just started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("logs", "artifacts"):
            (path / name).mkdir(parents=True, exist_ok=True)
        self.database = Database(path / "danube.db")
        self.clock = SetClock()
        self.policy = POLICY
        self.files = JobFileDirectories(path)
        self.rows = SqliteRetention(self.database)
        self.audit = Audit(SqliteAudit(self.database, b"k" * 32), self.clock, AuditKeys(b"k" * 32))
        connection_of(self.database).execute(
            "INSERT INTO pipelines (id, name, repo_url, created_at, updated_at, settings) VALUES ('p', 'app', '', 0, 0, '{}')"
        )
        self.restart()

    def restart(self) -> None:
        state, timing = SqliteServerState(self.database), Timing(self.clock)
        self.retention = Retention(
            self.rows, self.files, state, self.audit, timing, lambda: self.policy, lambda: DAY_SECONDS
        )

    async def job(self, days: float, **changes: Any) -> str:
        """A job that ended so many days ago, with a log and an artifact."""
        at = self.clock.now() - days * DAY_SECONDS
        job_id = sortable_id(at, os.urandom(10))
        fields: dict[str, Any] = {"phase": Phase.CLOSED, "status": Status.SUCCESS, "finished_at": at, **changes}
        trigger, settings = Trigger("manual", "carol", Revision("")), PipelineSettings("/nowhere")
        job = Job(job_id, "p", "app", trigger, settings, at, reason=Reason.NONE, started_at=at, **fields)
        await SqliteJobs(self.database).create_jobs([job])
        for suffix in ("log", "idx", "egress"):
            (self.path / "logs" / f"{job_id}.{suffix}").write_bytes(b"x" * 100)
        (self.path / "artifacts" / job_id).mkdir()
        (self.path / "artifacts" / job_id / "report").write_bytes(b"y" * 1000)
        return job_id

    def has(self, job_id: str) -> tuple[bool, bool]:
        """Whether the job has a log and whether it has artifacts."""
        return (self.path / "logs" / f"{job_id}.log").exists(), (self.path / "artifacts" / job_id).exists()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    await made.retention.check()  # marks the clock
    yield made
    await made.database.close()


async def test_old_files_are_removed_each_by_its_age(server: Server) -> None:
    old, middle, new = [await server.job(days) for days in (31, 20, 2)]
    run = await server.retention.reap("carol")
    assert (server.has(old), server.has(middle), server.has(new)) == ((False, False), (True, False), (True, True))
    assert run.freed_bytes == 300 + 1000 + 1000
    assert server.retention.freed.by_label() == {"logs-age": 300, "artifacts-age": 2000}
    assert not list((server.path / "logs").glob(f"{old}.*"))
    entry = (await server.audit.list())[0].event
    assert (entry.actor, entry.action) == ("carol", "reap")
    assert entry.details == {"jobs": "2", "logs-age": "300", "artifacts-age": "2000"}
    assert (await server.retention.of_job(old)).removed_at.keys() == {FileKind.LOGS, FileKind.ARTIFACTS}


async def test_a_dry_run_lists_and_removes_nothing(server: Server) -> None:
    old = await server.job(31)
    plan = await server.retention.plan()
    assert [(one.job_id, one.why) for one in plan.removals] == [(old, Why.AGE)] * 2
    assert server.has(old) == (True, True)
    assert (await server.retention.of_job(old)).removed_at == {}


async def test_a_kept_and_an_unfinished_job_keep_their_files(server: Server) -> None:
    kept = await server.job(400)
    waiting = await server.job(400, phase=Phase.QUEUED, status=Status.PENDING, finished_at=None)
    closing = await server.job(400, phase=Phase.ENDED)
    assert (await server.retention.keep(kept, "carol")).kept_by == "carol"
    assert (await server.retention.keep(kept, "dave")).kept_by == "carol"
    await server.retention.reap("danube")
    assert [server.has(one) for one in (kept, waiting, closing)] == [(True, True)] * 3
    assert (await server.retention.unkeep(kept)).kept_by == ""
    await server.retention.reap("danube")
    assert server.has(kept) == (False, False)


async def test_a_job_that_is_kept_after_the_plan_keeps_its_files(server: Server) -> None:
    """The decision is repeated in the transaction that records the removal."""
    old = await server.job(31)
    plan = await server.retention.plan()
    await server.retention.keep(old, "carol")
    assert await server.rows.record_removals(plan.removals, NOW) == []


class Killed(Exception):
    """The server is killed here."""


class KilledFiles:
    """Files that kill the server when it has removed so many."""

    def __init__(self, files: JobFileDirectories, allowed: int) -> None:
        self._files = files
        self._allowed = allowed

    async def list_files(self) -> Any:
        return await self._files.list_files()

    async def remove(self, removals: Sequence[Removal]) -> Sequence[Removal]:
        for one in removals:
            if not self._allowed:
                raise Killed
            self._allowed -= 1
            await self._files.remove([one])
        return []


@pytest.mark.parametrize("allowed", range(5))
async def test_a_kill_leaves_no_row_that_promises_a_file(server: Server, allowed: int) -> None:
    """After a kill each file whose removal is not recorded exists, and the next run finishes what was recorded."""
    jobs = [await server.job(31 + days) for days in range(2)]
    server.retention._files = KilledFiles(server.files, allowed)
    if allowed < 4:
        with pytest.raises(Killed):
            await server.retention.reap("danube")
    else:
        await server.retention.reap("danube")
    for one in jobs:
        removed = (await server.rows.retention_of(one)).removed_at
        has_log, has_artifacts = server.has(one)
        assert has_log or FileKind.LOGS in removed
        assert has_artifacts or FileKind.ARTIFACTS in removed
    server.policy = RetentionPolicy(RetentionLimit(900 * DAY_SECONDS), RetentionLimit(900 * DAY_SECONDS))
    server.restart()
    await server.retention.reap("danube")
    assert [server.has(one) for one in jobs] == [(False, False)] * 2


async def test_files_that_cannot_be_removed_are_removed_later(server: Server) -> None:
    old = await server.job(31)
    log = server.path / "logs" / f"{old}.log"
    log.unlink()
    log.mkdir()  # even root cannot unlink it
    run = await server.retention.reap("danube")
    assert run.removals == 1
    log.rmdir()
    log.write_bytes(b"x")
    assert (await server.retention.reap("danube")).removals == 1
    assert server.has(old) == (False, False)


async def test_a_clock_that_jumps_ahead_removes_nothing(server: Server) -> None:
    new = await server.job(1)
    await server.retention.check()
    server.clock.wall += 365 * DAY_SECONDS
    await server.retention.check()
    assert server.has(new) == (True, True)
    found = [one.reference for one in await server.retention.conditions()]
    assert found == ["clock-not-trusted"]
    with pytest.raises(Conflict, match="365 days ahead"):
        await server.retention.reap("carol")
    server.restart()  # the next server knows the last trusted time too
    await server.retention.check()
    assert server.has(new) == (True, True)
    server.clock.wall -= 365 * DAY_SECONDS
    await server.retention.check()
    assert await server.retention.conditions() == []


async def test_a_first_start_with_a_wrong_clock_removes_nothing(server: Server) -> None:
    """Before there is a mark, the newest row says what time it is."""
    new = await server.job(1)
    await SqliteServerState(server.database).forget("retention-clock")
    server.restart()
    server.clock.wall += 30 * 365 * DAY_SECONDS
    await server.retention.check()
    assert server.has(new) == (True, True)


async def test_a_clock_that_went_back_removes_nothing_until_it_is_confirmed(server: Server) -> None:
    old = await server.job(31)
    server.clock.wall += 2 * DAY_SECONDS
    server.retention._marked = (server.clock.wall, server.clock.running)
    server.clock.wall -= 2 * DAY_SECONDS
    await server.retention.check()
    assert server.has(old) == (True, True)
    await server.retention.reap("carol", trust_clock=True)
    assert server.has(old) == (False, False)


async def test_it_runs_once_in_each_interval(server: Server) -> None:
    await server.retention.check()
    first = await server.retention.last_run()
    old = await server.job(31)
    server.clock.advance(DAY_SECONDS / 2)
    await server.retention.check()
    assert (await server.retention.last_run(), server.has(old)) == (first, (True, True))
    server.clock.advance(DAY_SECONDS / 2)
    await server.retention.check()
    assert server.has(old) == (False, False)


async def test_the_size_limit_removes_the_oldest(server: Server) -> None:
    jobs = [await server.job(days) for days in (3, 2, 1)]
    server.policy = RetentionPolicy(RetentionLimit(30 * DAY_SECONDS), RetentionLimit(30 * DAY_SECONDS, 2000))
    await server.retention.reap("danube")
    assert [server.has(one) for one in jobs] == [(True, False), (True, True), (True, True)]


async def test_kept_jobs_above_the_limit_are_a_condition(server: Server) -> None:
    for days in (3, 2):
        await server.retention.keep(await server.job(days), "carol")
    server.policy = RetentionPolicy(RetentionLimit(30 * DAY_SECONDS), RetentionLimit(30 * DAY_SECONDS, 1500))
    await server.retention.reap("danube")
    found = [(one.reference, one.what) for one in await server.retention.conditions()]
    assert found == [
        ("retention-exceeded", "the artifacts of kept and unfinished jobs alone are larger than retention.artifacts_gb")
    ]


async def test_a_database_that_cannot_be_written_is_one_warning_without_a_traceback(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(name: str, value: str) -> None:
        raise Permanent("database-unreadable", "the database cannot be opened for writing", hint="ls -l")

    server.retention._state.remember = refuse  # type: ignore[method-assign]
    running = asyncio.create_task(server.retention.run(), name="retention")
    with caplog.at_level("WARNING"):
        await wait_until_async(lambda: "retention-failed" in caplog.text, 20, "the warning")
    running.cancel()
    assert "Traceback" not in caplog.text


class Registry:
    """`services.registry_images.RegistryImages`, as far as retention uses it."""

    def __init__(self) -> None:
        self.runs = 0

    async def remove(self) -> Sequence[ImageRemoval]:
        self.runs += 1
        return []

    async def conditions(self) -> Sequence[Condition]:
        return []


async def test_a_restored_server_leaves_files_and_the_registry_until_it_is_resumed(server: Server) -> None:
    """Its registry may be that of the original, which has newer images."""
    restored, registry, old = [True], Registry(), await server.job(31)
    server.retention._is_restored = lambda: restored[-1]
    server.retention.images = registry  # type: ignore[assignment]
    server.clock.advance(2 * DAY_SECONDS)
    await server.retention.check()
    assert (server.has(old), registry.runs) == ((True, True), 0)
    await server.retention.reap("carol")  # an operator's own order is for this server's files
    assert (server.has(old), registry.runs) == ((False, False), 0)
    restored.append(False)
    await server.retention.reap("carol")
    assert registry.runs == 1
