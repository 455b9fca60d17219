"""`danube drain` waits until no job runs, and does as requested when the time is over."""

import io
import json
from argparse import Namespace

import pytest

from danube_pkg.cli.commands import drain
from danube_pkg.core.jobs.environment_approvals import EnvironmentApproval
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import replace
from tests.cli.shell import Shell
from tests.edges.http.api import Api


class Terminal(io.StringIO):
    """Standard input of an operator."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
async def running(api: Api) -> Api:
    """A server with a job that runs and one that waits."""
    api.team("core")
    api.pipeline("app", owner="core")
    for _ in range(2):
        job = await api.open_job("app")
    active = api.services.jobs.engine._active[job.id]
    active.job = replace(job, phase=Phase.RUNNING, status=Status.RUNNING, started_at=1.0)
    return api


async def test_it_is_safe_to_stop_once_no_job_runs(api: Api, shell: Shell) -> None:
    shown = await shell.danube("drain", "--timeout=3600", "--data", str(api.path))
    assert "safe to stop" in shown
    assert api.services.jobs.draining.active


async def test_without_a_terminal_the_drain_is_aborted_at_the_timeout(running: Api, shell: Shell) -> None:
    shown = await shell.danube("drain", "--timeout", "1", "--data", str(running.path), code=1)
    assert "waiting for 1 job" in shown
    assert not running.services.jobs.draining.active


async def test_a_job_that_waits_for_an_approval_is_named(running: Api, shell: Shell) -> None:
    """A drain waits for it, a restart does not end it."""
    active = next(one for one in running.services.jobs.engine._active.values() if one.job.phase is Phase.RUNNING)
    approval = EnvironmentApproval(1, "production", 1.0, 2_000_000_000.0)
    active.job = replace(active.job, approvals=(approval,))
    shown = await shell.danube("drain", "--timeout", "1", "--data", str(running.path), code=1)
    assert f"job {active.job.id} of app waits for approval of production, until 2033" in shown
    (awaited,) = (await running.local.get("/api/v1/system")).json["waiting_for_approval"]
    assert (awaited["job"], awaited["environment"]) == (active.job.id, "production")
    shown = await shell.run_out("check-upgrade", "--data", str(running.path), code=None)
    assert f"1 of them for an approval: {active.job.id} (production)" in shown


@pytest.mark.parametrize("chosen", ["kill", "abort"])
def test_on_a_terminal_the_operator_chooses_at_the_timeout(
    chosen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any other answer is asked again."""
    answers, asked = iter(["", "yes", f" {chosen.upper()} "]), list[str]()

    def answer(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", answer)
    assert drain._choice(Namespace(on_timeout=None), 2) == chosen
    assert asked == ["kill them, or abort the drain? "] * 3
    assert "the time is over, and 2 jobs still run" in capsys.readouterr().err


async def test_a_script_may_only_start_the_drain(running: Api, shell: Shell) -> None:
    shown = json.loads(await shell.danube("drain", "--timeout", "0", "--json", "--data", str(running.path)))
    assert (shown["active"], shown["running"]) == (True, 1)
    assert running.services.jobs.draining.active


async def test_jobs_that_run_at_the_timeout_are_ended_as_drained(running: Api, shell: Shell) -> None:
    """Waiting jobs wait on; they start after the resume."""
    words = ("drain", "--timeout", "1", "--on-timeout=kill", "--data", str(running.path))
    shown = await shell.danube(*words)
    assert "safe to stop" in shown
    ended = [job for job in (await running.local.get("/api/v1/jobs")).json["jobs"] if job["status"] == "cancelled"]
    assert [(job["reason"], job["message"]) for job in ended] == [
        ("drained", "ended by local-administrator, who drained the server")
    ]
    assert running.services.jobs.draining.active
    assert "new jobs are started" in await shell.danube("resume", "--data", str(running.path))


async def test_jobs_are_ended_only_while_the_server_drains(running: Api) -> None:
    assert (await running.local.post("/api/v1/system/drain/cancel")).reference == "not-draining"


async def test_a_webhook_is_refused_and_not_stored_while_the_server_drains(api: Api) -> None:
    await api.local.post("/api/v1/system/drain")
    answer = await api.anonymous.post("/hooks/gitea", {"ref": "refs/heads/main"}, x_gitea_event="push")
    assert (answer.status, answer.reference) == (503, "draining")
    assert int(answer.headers["retry-after"]) > 0
    assert (await api.local.get("/api/v1/deliveries")).json["deliveries"] == []
