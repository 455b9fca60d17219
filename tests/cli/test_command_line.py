"""The command line against a server that it reaches by URL with a kept token, and by the unix socket."""

import asyncio
import json
import stat
import subprocess
from pathlib import Path

import pytest

from danube_pkg.core.identity.access import Scope
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from tests.cli.shell import Shell, with_alice
from tests.edges.http.api import COMMIT, PASSWORD, Api
from tests.support.danube_process import DANUBE


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
