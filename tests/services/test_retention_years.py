"""Two years of retention on a virtual clock: 200,000 jobs, kept ones, jobs that wait for months, kills and wrong
clocks."""

import random
from pathlib import Path

import pytest

from danube_pkg.adapters.store import Database, SqliteAudit, SqliteRetention, SqliteServerState
from danube_pkg.core.errors import Conflict
from danube_pkg.core.identity.audit import AuditKeys
from danube_pkg.core.retention.plan import DAY_SECONDS, FileKind, RetentionLimit, RetentionPolicy
from danube_pkg.kit.ids import sortable_id
from danube_pkg.kit.loops import Timing
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.retention import Retention
from tests.fakes.stored_files import Killed, VirtualDisk
from tests.services.test_retention import NOW, SetClock
from tests.support.databases import connection_of

DAYS, JOBS_A_DAY = 730, 274
LOG, ARTIFACT = 1 << 20, 8 << 20
LOGS_GB, ARTIFACTS_GB = 7, 20
POLICY = RetentionPolicy(
    logs=RetentionLimit(30 * DAY_SECONDS, LOGS_GB << 30), artifacts=RetentionLimit(14 * DAY_SECONDS, ARTIFACTS_GB << 30)
)

JOB = """INSERT INTO jobs (id, pipeline_id, pipeline, trigger_type, status, phase, reason, message, generation, effect_count,
  trigger, settings, log_path, created_at, finished_at) VALUES (?, 'p', 'app', 'cron', 'success', ?, '', '', 0, 0, '{}', '{}', '', ?, ?)"""


class Years:
    """A server that lives for two years."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.database = Database(path / "danube.db")
        self.clock, self.disk = SetClock(), VirtualDisk()
        self.ended: dict[str, float] = {}
        self.kept: set[str] = set()
        self.waiting: set[str] = set()
        self.audit = Audit(SqliteAudit(self.database, b"k" * 32), self.clock, AuditKeys(b"k" * 32))
        writing = connection_of(self.database)
        writing.execute("PRAGMA synchronous=OFF")
        writing.execute(
            "INSERT INTO pipelines (id, name, repo_url, created_at, updated_at, settings) VALUES ('p', 'app', '', 0, 0, '{}')"
        )
        self.restart()

    def restart(self) -> None:
        rows, state = SqliteRetention(self.database), SqliteServerState(self.database)
        timing = Timing(self.clock)
        self.retention = Retention(rows, self.disk, state, self.audit, timing, lambda: POLICY, lambda: DAY_SECONDS)

    def one_day_of_jobs(self) -> None:
        rows = []
        for _ in range(JOBS_A_DAY):
            at = self.clock.now() - self.random.uniform(0, DAY_SECONDS)
            job = sortable_id(at, self.random.randbytes(10))
            waits = self.random.random() < 0.001
            rows.append((job, "queued" if waits else "closed", at, None if waits else at))
            (self.waiting.add(job) if waits else self.ended.setdefault(job, at))
            self.disk.sizes[job, FileKind.LOGS] = LOG
            self.disk.sizes[job, FileKind.ARTIFACTS] = ARTIFACT
        writing = connection_of(self.database)
        writing.execute("BEGIN")
        writing.executemany(JOB, rows)
        writing.execute("COMMIT")

    async def users_act(self) -> None:
        """Users keep jobs and end that, approve jobs that wait for months, and the server is restarted."""
        fresh = [job for job, at in self.ended.items() if at > self.clock.now() - DAY_SECONDS]
        job = self.random.choice(fresh)
        await self.retention.keep(job, "carol")
        self.kept.add(job)
        if len(self.kept) > 100:
            job = self.random.choice(sorted(self.kept))
            await self.retention.unkeep(job)
            self.kept.discard(job)
        if len(self.waiting) > 20:
            job = min(self.waiting)
            now = self.clock.now()
            connection_of(self.database).execute(
                "UPDATE jobs SET phase = 'closed', finished_at = ? WHERE id = ?", (now, job)
            )
            self.waiting.discard(job)
            self.ended[job] = now
        if self.random.random() < 0.1:
            self.restart()

    async def clock_is_wrong_for_a_while(self) -> None:
        """It jumps by years and is set right again: nothing is removed meanwhile."""
        before, step = dict(self.disk.sizes), self.random.choice((-400, -3, 20, 400, 9000)) * DAY_SECONDS
        self.clock.wall += step
        if self.random.random() < 0.5:
            self.restart()
        await self.retention.check()
        with pytest.raises(Conflict):
            await self.retention.reap("carol")
        assert self.disk.sizes == before
        self.clock.wall -= step

    async def remove(self) -> None:
        self.disk.kill_after = self.random.randrange(200) if self.random.random() < 0.1 else -1
        try:
            await self.retention.check()
        except Killed:
            self.restart()
            await self.retention.reap("danube")
        self.disk.kill_after = -1

    def assert_promises(self) -> None:
        for job in self.kept | self.waiting:
            assert (job, FileKind.LOGS) in self.disk.sizes
            assert (job, FileKind.ARTIFACTS) in self.disk.sizes
        assert self.disk.used(FileKind.LOGS) <= LOGS_GB << 30
        assert self.disk.used(FileKind.ARTIFACTS) <= ARTIFACTS_GB << 30
        now = self.clock.now()
        for (job, kind), _ in self.disk.sizes.items():
            if job in self.ended and job not in self.kept:
                assert now - self.ended[job] <= POLICY.of(kind).keep_seconds


@pytest.mark.soak
async def test_two_years_stay_within_their_bounds_and_lose_nothing_that_is_kept(tmp_path: Path) -> None:
    years = Years(tmp_path, seed=1)
    years.clock.wall = NOW
    for day in range(DAYS):
        years.clock.advance(DAY_SECONDS)
        years.one_day_of_jobs()
        await years.users_act()
        if day % 40 == 39:
            await years.clock_is_wrong_for_a_while()
        await years.remove()
        if day % 10 == 9:
            years.assert_promises()
    years.assert_promises()
    rows = years.database.read("SELECT count(*) AS jobs FROM jobs")
    assert rows[0]["jobs"] == DAYS * JOBS_A_DAY
    await years.database.close()
