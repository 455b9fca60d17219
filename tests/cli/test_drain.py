"""`danube drain` waits until no job runs, and does as requested when the time is over."""

import json

import pytest

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import replace
from tests.cli.shell import Shell
from tests.edges.http.api import Api


@pytest.fixture
async def running(api: Api) -> Api:
    """A server with a job that runs and one that waits."""
    api.team("core")
    api.pipeline("app", owner="core")
    for _ in range(2):
        job = await api.open_job("app")
    active = api.services.engine._active[job.id]
    active.job = replace(job, phase=Phase.RUNNING, status=Status.RUNNING, started_at=1.0)
    return api


async def test_it_is_safe_to_stop_once_no_job_runs(api: Api, shell: Shell) -> None:
    shown = await shell.danube("drain", "--timeout=3600", "--data", str(api.path))
    assert "safe to stop" in shown
    assert api.services.draining.active


async def test_without_a_terminal_the_drain_is_aborted_at_the_timeout(running: Api, shell: Shell) -> None:
    shown = await shell.danube("drain", "--timeout", "1", "--data", str(running.path), code=1)
    assert "waiting for 1 job" in shown
    assert not running.services.draining.active


async def test_a_script_may_only_start_the_drain(running: Api, shell: Shell) -> None:
    shown = json.loads(await shell.danube("drain", "--timeout", "0", "--json", "--data", str(running.path)))
    assert (shown["active"], shown["running"]) == (True, 1)
    assert running.services.draining.active
