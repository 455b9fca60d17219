"""A server that is started with another clock gives its running jobs the time that they have left (O-9)."""

from pathlib import Path

import pytest

from danube_pkg.adapters.store import Database, SqliteServerState
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.reasons import Status
from danube_pkg.kit.boot_clock import read_clocks
from danube_pkg.kit.clock_samples import ClockSample
from danube_pkg.kit.records import encode_json, replace
from danube_pkg.services.jobs.clock_watch import ClockWatch
from tests.edges.http.api import open_api


async def test_a_jump_is_noticed_by_the_next_server_and_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "danube.db")
    state, now = SqliteServerState(database), ClockSample(1000.0, "boot", 50.0)
    assert await ClockWatch(state, lambda: now).jump() == 0.0
    now = ClockSample(1000.0 + 3610, "boot", 60.0)
    watch = ClockWatch(state, lambda: now)
    assert await watch.jump() == 3600.0
    assert await watch.jump() == 0.0
    now = ClockSample(now.at - 3600 + 30, "boot", 90.0)
    assert await watch.jump() == -3600.0
    await database.close()


async def test_a_restart_with_the_clock_an_hour_ahead_ends_no_job(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        api.pipeline("app")
        now = api.parts.store.clock.now()
        changes = {"phase": Phase.RUNNING, "status": Status.RUNNING, "started_at": now - 3000, "deadline_at": now + 300}
        job = await api.job("app", finished_at=None, pod_id="gone", **changes)
    # The next server reads a clock that is an hour ahead of what the last one stored.
    database = Database(tmp_path / "danube.db")
    reading = read_clocks()
    await SqliteServerState(database).remember(
        "clock-sample", encode_json(replace(reading, at=reading.at - 3600)).decode()
    )
    await database.close()
    async with open_api(tmp_path) as api:
        moved = await api.parts.store.jobs.load_job(job.id)
        assert moved is not None
        assert moved.started_at == pytest.approx(now + 600, abs=30)
        assert moved.deadline_at == pytest.approx(now + 3900, abs=30)
        assert moved.outcome is not Status.TIMEOUT
