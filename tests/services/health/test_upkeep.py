"""The server repairs what it can, says what it did, and gives up in time."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.adapters.git.mirrors import STALE_SECONDS, Mirrors
from danube_pkg.adapters.store import Database
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.readiness import NEEDED_BYTES, DiskState
from danube_pkg.core.health.repairs import MAX_TRIES, Repair
from danube_pkg.core.jobs.queue import Obstacle
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import replace
from danube_pkg.services.health.room import DiskRoom
from danube_pkg.services.health.upkeep import ROUND_SECONDS, RepairDone, Upkeep
from tests.edges.http.api import Api, open_api
from tests.support.moved_clock import MovedClock

ROOM = DiskState(100 * 1024**3, 200 * 1024**3, 1_000_000, 2_000_000)
LOW = replace(ROOM, free_bytes=1024**3)
FULL = replace(ROOM, free_bytes=NEEDED_BYTES - 1)


class BrokenPart:
    """A subsystem whose condition a repair ends, after it has failed so often."""

    def __init__(self, failures: int = 0) -> None:
        self.clock = MovedClock(1000.0)
        self.is_broken = True
        self.failures = failures
        self.recorded: list[RepairDone] = []
        workers = {Repair.RESTART_DEX: self.repair}
        self.upkeep = Upkeep((self,), workers, Timing(self.clock), self.record)

    async def conditions(self) -> list[Condition]:
        return [Condition("dex-not-answering", "Dex does not answer", "")] if self.is_broken else []

    async def repair(self) -> str:
        if self.failures:
            self.failures -= 1
            raise Unavailable("dex-stuck", "Dex cannot be started")
        self.is_broken = False
        return "Dex was started again"

    async def record(self, done: RepairDone) -> None:
        self.recorded.append(done)


async def test_a_repair_is_made_recorded_and_shown() -> None:
    broken = BrokenPart()
    assert await broken.upkeep.round() == ROUND_SECONDS
    (done,) = broken.recorded
    assert (done.repair, done.why, done.outcome) == (Repair.RESTART_DEX, "dex-not-answering", "done")
    assert broken.upkeep.done == (done,)
    await broken.upkeep.round()
    assert len(broken.recorded) == 1
    assert await broken.upkeep.conditions() == []


async def test_a_repair_that_does_not_help_is_given_up_and_says_so() -> None:
    broken = BrokenPart(failures=100)
    for _ in range(100):
        await broken.upkeep.round()
        broken.clock.move(ROUND_SECONDS)
    assert [one.outcome for one in broken.recorded] == ["failed"] * MAX_TRIES
    (condition,) = await broken.upkeep.conditions()
    assert (condition.reference, "restart-dex" in condition.what) == ("repair-given-up", True)
    broken.is_broken = False
    await broken.upkeep.round()
    assert await broken.upkeep.conditions() == []


class StatedDisk:
    """A stub of `core.health.ports.Disk`: its state is what the test says."""

    def __init__(self, state: DiskState) -> None:
        self.now = state

    async def state(self) -> DiskState:
        return self.now

    def room(self) -> DiskState:
        return self.now


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(tmp_path) as opened:
        opened.team("core")
        opened.pipeline("app", owner="core")
        yield opened


async def test_jobs_wait_for_room_and_every_place_says_so(api: Api) -> None:
    disk = StatedDisk(FULL)
    api.services.jobs.engine._scheduler._room = DiskRoom(disk, "/data")
    job = await api.open_job("app")
    found = (await api.local.get(f"/api/v1/jobs/{job.id}/explanation")).json
    assert found["waits_for"] == Obstacle.DISK
    assert "only 255 MiB are free on the disk of /data" in found["lines"][1]
    assert "danube image" in found["hint"]
    assert await api.services.jobs.engine._scheduler._round() is not None  # it is held, and checks again
    disk.now = ROOM
    assert await api.services.jobs.engine._scheduler._round() is None
    assert (await api.local.get(f"/api/v1/jobs/{job.id}/explanation")).json["waits_for"] != Obstacle.DISK


async def test_a_low_disk_is_cleaned_up_before_it_is_full(tmp_path: Path) -> None:
    low, ordinary = DiskRoom(StatedDisk(LOW), "/data"), DiskRoom(StatedDisk(ROOM), "/data")
    assert [one.reference for one in await low.conditions()] == ["disk-low"]
    assert low.obstacle() is None
    assert await ordinary.conditions() == ()
    mirrors = Mirrors(tmp_path / "repos", limit_bytes=1 << 40)
    for name, age in (("a", 100), ("b", 50)):
        mirror = mirrors.directory / f"{name}.git"
        mirror.mkdir()
        os.utime(mirror, (time.time() - age, time.time() - age))
    async with mirrors.using(mirrors.directory / "a.git"):
        assert await mirrors.make_room(lambda: False) == 1  # one is in use
    assert [one.name for one in mirrors.directory.iterdir()] == ["a.git"]
    assert await mirrors.make_room(lambda: True) == 0


async def test_locks_of_killed_workers_are_removed_and_new_ones_stay(tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "repos", limit_bytes=1 << 40)
    heads = mirrors.directory / "a.git" / "refs" / "heads"
    heads.mkdir(parents=True)
    old, new = heads / "main.lock", heads / "other.lock"
    for lock in (old, new):
        lock.write_text("")
    os.utime(old, (time.time() - STALE_SECONDS - 1,) * 2)
    assert await mirrors.stale_locks() == [old]
    assert await mirrors.clear_stale_locks() == 1
    assert (old.exists(), new.exists()) == (False, True)


async def test_the_write_ahead_log_is_cut_beside_the_writer(tmp_path: Path) -> None:
    database = Database(tmp_path / "danube.db")
    assert database.log_bytes() > 0
    assert await database.checkpoint()
    assert database.log_bytes() == 0
    await database.write(
        lambda connection: connection.execute("INSERT INTO server_state VALUES ('a', 'b', 0)") and None
    )
    assert database.read("SELECT value FROM server_state WHERE name = 'a'")[0][0] == "b"
    await database.close()


async def test_repairs_are_audited_and_shown_by_the_api(api: Api) -> None:
    lock = api.path / "mirrors" / "a.git" / "packed-refs.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    os.utime(lock, (time.time() - STALE_SECONDS - 1,) * 2)
    await api.services.health.upkeep.round()
    repairs = {one["repair"]: one for one in (await api.local.get("/api/v1/system")).json["repairs"]}
    assert repairs["clear-locks"]["outcome"] == "done"
    assert (repairs["retry-sync"]["outcome"], repairs["retry-sync"]["why"]) == ("done", "configuration-missing")
    assert not lock.exists()
    entries = (await api.local.get("/api/v1/audit?action=repair")).json["entries"]
    assert "clear-locks" in [one["target"] for one in entries]
