"""The command line against a server that it reaches by URL with a kept token, and by the unix socket."""

import asyncio
import json
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from danube_pkg.cli.output import cut, fitting
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.jobs.trigger import Rebuild, Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from tests.cli.shell import Shell, with_alice
from tests.edges.http.api import COMMIT, PASSWORD, Api
from tests.support.danube_process import DANUBE
from tests.support.waiting import wait_until_true


@pytest.fixture
def api(api: Api) -> Api:
    return with_alice(api)


async def log_in(api: Api, shell: Shell, *words: str) -> None:
    await shell.danube("login", api.address, "--email", "alice@example.com", *words, given=PASSWORD + "\n")


async def test_after_a_login_commands_use_that_server(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    assert stat.S_IMODE(shell.servers_file.stat().st_mode) == 0o600
    assert "alice@example.com" in await shell.danube("whoami")
    job = (await shell.danube("trigger", "app")).strip()
    assert job in await shell.danube("jobs")
    assert "app" in await shell.danube("pipelines")
    await shell.danube("secrets", "set", "KEY", "--pipeline", "app", given="a secret value")
    command = [*DANUBE, "secrets", "set", "WORD", "--pipeline", "app"]
    warned = await asyncio.to_thread(shell.run_process, command, "main")
    assert "warning: the value has fewer than 8 characters" in warned.stderr
    assert "KEY" in await shell.danube("secrets", "list", "--pipeline", "app")
    await shell.danube("secrets", "remove", "KEY", "--pipeline", "app")
    assert "waits in the queue" in await shell.danube("explain", job)
    await shell.danube("cancel", job)
    again = (await shell.danube("rerun", job)).strip()
    assert again != job
    assert "cancelled" in await shell.danube("jobs", "--status", "cancelled", "--json")


async def test_failed_jobs_of_a_commit_are_run_again_with_their_parameters(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    for name in ("docs", "fixed", "slow"):
        api.pipeline(name, owner="core")
    params = Trigger("manual", "bob", Revision(COMMIT, "refs/heads/main", "main"), {"target": "staging"})
    await api.job("fixed", status=Status.FAILURE)
    for name, status in (("fixed", Status.SUCCESS), ("docs", Status.SUCCESS), ("slow", Status.TIMEOUT)):
        await api.job(name, status=status)
    failed = await api.job("app", status=Status.FAILURE, trigger=params)
    await api.job("app", status=Status.FAILURE, trigger=replace(params, revision=Revision("b" * 40)))
    made = json.loads(await shell.danube("rerun", "--failed", COMMIT[:10], "--json"))
    assert [job["pipeline"] for job in made] == ["app", "slow"]
    assert (made[0]["trigger"]["rerun_of"], made[0]["trigger"]["params"]) == (failed.id, {"target": "staging"})
    assert "did not fail" in await shell.danube("rerun", "--failed", COMMIT, code=3), "they run again already"
    assert "no job among the newest" in await shell.danube("rerun", "--failed", "d" * 40, code=3)
    assert "at least 7 digits" in await shell.danube("rerun", "--failed", "c0ffee", code=2)
    assert "name one job" in await shell.danube("rerun", code=2)


async def test_a_wrong_password_keeps_nothing(api: Api, shell: Shell) -> None:
    shown = await shell.danube("login", api.address, "--email", "alice@example.com", given="wrong\n", code=3)
    assert "the address or the password is wrong" in shown
    assert not shell.servers_file.exists()


async def test_a_file_of_tokens_that_others_can_read_is_refused(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    shell.servers_file.chmod(0o644)
    assert "chmod 600" in await shell.danube("whoami", code=3)


async def test_a_script_names_server_and_token(api: Api, shell: Shell) -> None:
    caller = await api.caller("bob", core="member")
    token = caller.headers["authorization"].removeprefix("Bearer ")
    shown = await shell.danube("whoami", "--json", DANUBE_SERVER=api.address, DANUBE_TOKEN=token)
    assert json.loads(shown)["name"] == "bob@example.com"
    shown = await shell.danube("whoami", "--server", api.address, code=3)
    assert "danube login" in shown


async def test_an_administrator_manages_the_logins_of_a_user(api: Api, shell: Shell) -> None:
    data = ("--data", str(api.path))
    browser, script = await api.with_session("alice"), await api.with_token("alice", Scope.READ)
    await api.store.store.bind_identity("alice", "https://issuer.example.org", "7", 1.0)
    listed = await shell.danube("users", "list", *data)
    assert [word in listed for word in ("alice@example.com", "https://issuer.example.org", "7")] == [True] * 3
    assert "sessions ended: 1" in await shell.danube("users", "unbind", "alice", *data)
    assert "no account of an issuer is bound" in await shell.danube("users", "unbind", "alice", *data, code=3)
    assert (await browser.get("/api/v1/me")).status == 401
    assert "sessions ended: 0" in await shell.danube("sessions", "end", "alice", *data)
    assert "tokens revoked: 1" in await shell.danube("token", "revoke", "--user", "alice", *data)
    assert (await script.get("/api/v1/me")).status == 401
    assert "danube users list" in await shell.danube("sessions", "end", "carol", *data, code=3)


async def test_tokens_are_made_listed_and_revoked(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    token = (await shell.danube("token", "create", "--name", "script", "--scope", "read", "--expires", "7")).strip()
    listed = await shell.danube("token", "list")
    assert "script" in listed
    assert token not in listed
    assert "this token may not be used for trigger" in await shell.danube(
        "trigger", "app", code=3, DANUBE_TOKEN=token, DANUBE_SERVER=api.address
    )
    (identity,) = [line.split()[0] for line in listed.splitlines() if "script" in line]
    await shell.danube("token", "revoke", identity)
    assert "not known" in await shell.danube("jobs", code=3, DANUBE_TOKEN=token, DANUBE_SERVER=api.address)


async def test_invalid_usage_and_refusals_have_different_exit_codes(api: Api, shell: Shell) -> None:
    data = str(api.path)
    assert "has no branch, tag or commit 'gone'" in await shell.danube(
        "trigger", "app", "--ref", "gone", "--data", data, code=3
    )
    assert "there is no pipeline" in await shell.danube("trigger", "absent", "--data", data, code=3)
    assert "longer than" in await shell.danube("trigger", "app", "--param", f"a={'x' * 9000}", "--data", data, code=2)
    assert "not a valid param" in await shell.danube("trigger", "app", "--param", "a", "--data", data, code=2)
    await shell.danube("trigger", "app", "--no-such-flag", code=2)


async def test_over_the_socket_the_owner_is_administrator(api: Api, shell: Shell) -> None:
    data = str(api.path)
    job = await api.open_job("app", fork=True)
    assert "waits for an approval" in await shell.danube("explain", job.id, "--data", data)
    assert "is for commit" in await shell.danube("approve", job.id, "a" * 40, "--data", data, code=3)
    await shell.danube("approve", job.id, COMMIT[:10], "--data", data)
    await shell.danube("drain", "--data", data)
    assert "takes no new work" in await shell.danube("trigger", "app", "--data", data, code=3)
    await shell.danube("resume", "--data", data)
    audit = await shell.danube("audit", "--data", data, "--json")
    assert [one["action"] for one in json.loads(audit)] == ["drain", "trigger", "drain", "approve"]
    assert "all 4 entries are unchanged" in await shell.danube("audit", "--check", "--data", data)


async def test_explain_says_why_a_job_failed(api: Api, shell: Shell) -> None:
    job = await api.job(
        "app", status=Status.FAILURE, reason=Reason.STEP_FAILED, message="step 1 'Test' failed with exit code 3"
    )
    shown = await shell.danube("explain", job.id, "--data", str(api.path))
    assert "Step 1 'Test' failed with exit code 3." in shown
    assert "hint:" in shown


async def test_a_commit_message_is_shown_without_control_characters(api: Api, shell: Shell) -> None:
    message = "Repair the roof\x1b[2J"
    revision = Revision(COMMIT, branch="main", commit_message=message, commit_author="Alice")
    trigger = Trigger("webhook", "alice", revision)
    job = await api.job("app", trigger=trigger)
    data = str(api.path)
    explained = await shell.danube("explain", job.id, "--data", data)
    assert explained.startswith(f"app, commit {COMMIT[:12]} on main, by Alice: Repair the roof [2J\n")
    assert "Repair the roof [2J" in await shell.danube("jobs", "--data", data)
    one = await shell.danube("jobs", job.id, "--data", data)
    assert "Repair the roof" in one
    assert "Alice" in one


async def test_a_job_without_a_commit_is_shown_and_found_by_no_commit(api: Api, shell: Shell) -> None:
    trigger = Trigger("webhook", "alice", Revision(branch="topic"), pull_request={"fork": True})
    job = await api.job("app", trigger=trigger, status=Status.FAILURE)
    data = str(api.path)
    assert "topic" in await shell.danube("jobs", "--data", data)
    assert "topic" in await shell.danube("jobs", job.id, "--data", data)
    assert "no job among" in await shell.danube("rerun", "--failed", COMMIT, "--data", data, code=3)
    assert "not known yet" in await shell.danube("approve", job.id, COMMIT, "--data", data, code=3)


async def test_a_list_has_the_requested_length_over_several_pages(api: Api, shell: Shell) -> None:
    made = [(await api.job("app")).id for _ in range(215)]
    data = str(api.path)
    for limit in (3, 200, 207, 500):
        shown = json.loads(await shell.danube("jobs", "--limit", str(limit), "--json", "--data", data))
        assert [job["id"] for job in shown] == made[::-1][:limit]
    assert json.loads(await shell.danube("jobs", "--limit", "0", "--json", "--data", data)) == []


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
async def test_completion_knows_every_command(shell: Shell, name: str) -> None:
    script = await shell.danube("completion", name)
    assert "--follow" in script
    assert "rerun" in script


async def test_bash_completes_commands_and_their_options(shell: Shell, tmp_path: Path) -> None:
    script = tmp_path / "complete.sh"
    script.write_text(
        await shell.danube("completion", "bash")
        + "\nCOMP_WORDS=(danube token create --sc); COMP_CWORD=3; _danube; echo ${COMPREPLY[*]}"
        + "\nCOMP_WORDS=(danube can); COMP_CWORD=1; _danube; echo ${COMPREPLY[*]}\n"
    )
    done = await asyncio.to_thread(subprocess.run, ["bash", str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--scope", "cancel"]


async def test_validate_warns_of_a_pipe_without_pipefail_and_accepts_the_file(shell: Shell) -> None:
    (shell.home / "danubefile.py").write_text(
        "from danube import pipeline, step\n@pipeline(name='A')\ndef build():\n    step.run('make | tee log')\n"
    )
    printed = await shell.danube("validate")
    assert "danubefile.py OK: A" in printed
    assert "danubefile.py:4: warning: of this pipe only the last program counts" in printed
    found = json.loads(await shell.danube("validate", "--json"))
    assert (found["ok"], [one["place"] for one in found["danubefiles"]["danubefile.py"]["warnings"]]) == (
        True,
        ["danubefile.py:4"],
    )


async def test_a_job_is_named_by_its_first_characters_or_by_pipeline_and_branch(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    older = await api.job("app", status=Status.FAILURE)
    newest = await api.job("app", status=Status.SUCCESS)
    for name in (newest.id, newest.id[:24], "@latest", "app@latest", "app@main"):
        assert json.loads(await shell.danube("jobs", name, "--json"))["id"] == newest.id
    rebuild = await api.job("app", status=Status.SUCCESS, trigger=replace(newest.trigger, rebuild=Rebuild(newest.id)))
    assert json.loads(await shell.danube("jobs", "app@latest", "--json"))["id"] == newest.id
    assert json.loads(await shell.danube("jobs", rebuild.id, "--json"))["id"] == rebuild.id
    ambiguous = await shell.danube("jobs", newest.id[:4], code=2)
    assert older.id in ambiguous
    assert newest.id in ambiguous
    assert "there is no job app@topic" in await shell.danube("explain", "app@topic", code=3)
    assert "there is no pipeline 'appp'" in await shell.danube("logs", "appp@main", code=3)
    assert "there is no job" in await shell.danube("logs", "zzzz", code=3)
    assert "names no branch" in await shell.danube("cancel", "app@", code=2)


async def test_a_waiting_trigger_names_the_job_first_and_ends_with_it(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    waiting = asyncio.create_task(shell.run_out("trigger", "app", "--wait", "--json", code=1), name="trigger")
    job = await newest_job(api)
    assert (await api.local.post(f"/api/v1/jobs/{job}/cancel")).status == 202
    lines = [json.loads(line) for line in (await waiting).splitlines()]
    assert (lines[0]["event"], lines[0]["id"]) == ("job", job)
    assert (lines[-1]["id"], lines[-1]["status"]) == (job, "cancelled")


async def newest_job(api: Api) -> str:
    """The first one that the server has, when it has one."""
    jobs: list[str] = []

    async def has_one() -> bool:
        jobs[:] = [one["id"] for one in (await api.local.get("/api/v1/jobs")).json["jobs"]]
        return bool(jobs)

    await wait_until_true(has_one, 30, "a job")
    return jobs[0]


async def test_an_interrupt_ends_the_wait_and_not_the_job(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    words = (
        "env",
        "--default-signal=INT",
        *DANUBE,
    )  # a test run in the background ignores it, and so would its children
    process = await asyncio.create_subprocess_exec(
        *words, "trigger", "app", "--wait", env=shell.environment, cwd=shell.home, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    first = (await process.stderr.readline()).decode()
    job = await newest_job(api)
    assert first == f"job {job} of app: {api.address}/jobs/{job}\n"
    process.send_signal(signal.SIGINT)
    rest = (await process.stderr.read()).decode()
    assert await process.wait() == 130
    assert f"the job {job} continues: danube logs -f {job} follows it, danube cancel {job} ends it" in rest


async def test_unknown_pipelines_and_commands_are_refused(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    assert "there is no pipeline 'nope'" in await shell.danube("jobs", "--pipeline", "nope", code=3)
    refused = await shell.danube("secrets", "set", "KEY", "--pipeline", "nope", given="a secret value", code=3)
    assert "danube secrets set KEY --pipeline nope --future" in refused
    unknown = await shell.danube("trigerr", "app", code=2)
    assert unknown == "danube: there is no command 'trigerr'\n  hint: did you mean: danube trigger\n"


async def test_one_job_is_shown_without_empty_rows(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    made = await shell.danube("trigger", "app", "--param", "target=prod")
    shown = await shell.danube("jobs", made.strip())
    assert "parameter target=prod\n" in shown
    assert not [line for line in shown.splitlines() if line.strip() in ("author", "hint", "why", "at")]


async def test_the_log_is_searched_for_what_is_seen(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    job = await api.job("app")
    await api.log(job.id, b"\x1b[31mFAILED\x1b[0m tests/test_ship\n" + b"line\n" * 2500)
    assert await shell.danube("logs", job.id, "--grep", "failed TESTS") == "1:FAILED tests/test_ship\n"
    found = await shell.danube("logs", "@latest", "--grep", "line", "--step", "1")
    assert found.splitlines()[0] == "2:line"
    assert len(found.splitlines()) == 2500
    assert "0 lines have 'absent'" in await shell.danube("logs", job.id, "--grep", "absent", code=1)


async def test_the_shell_completes_names_that_the_server_has(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    job = await api.job("app")
    assert await shell.danube("completion", "--list", "pipelines") == "app\n"
    assert await shell.danube("completion", "--list", "jobs") == f"@latest\napp@latest\n{job.id}\n"
    script = await shell.danube("completion", "bash")
    assert "--list jobs" in next(line for line in script.splitlines() if line.strip().startswith("logs)"))
    assert "--list pipelines" in next(line for line in script.splitlines() if line.strip().startswith("trigger)"))
    assert await shell.danube("completion", "--list", "jobs", "--server", "http://127.0.0.1:9") == ""


def test_a_table_fits_its_terminal() -> None:
    widths = fitting([26, 30, 7, 4, 20, 60], 80)
    assert sum(widths) + 10 == 80
    assert (widths[0], widths[2], widths[3]) == (26, 7, 4)
    assert fitting([5, 5], 80) == [5, 5]
    assert cut("a long commit message", 7) == "a long…"


async def test_an_empty_password_is_named(api: Api, shell: Shell) -> None:
    words = ("login", api.address, "--email", "alice@example.com")
    assert "the password is empty" in await shell.danube(*words, given="\n", code=2)
