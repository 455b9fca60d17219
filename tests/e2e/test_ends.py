"""Each way in which a job ends has its own status, reason, message and hint; only a successful job is green."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Installation
from tests.support.waiting import wait_until

HEAD = "from danube import artifacts, ctx, pipeline, secrets, step\n\n"


def job_of(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{HEAD}@pipeline(name='t')\ndef build():\n{lines}"


SERVICE = """
serve = "exec python3 -m http.server 8123 --bind 127.0.0.1"
probe = "python3 -c 'import socket; socket.create_connection((\\"127.0.0.1\\", 8123))'"
with step.service("web", serve, ready=probe):
    step.run(probe, name="reach")
assert step.run(probe, check=False).exit_code != 0, "the service still runs"
"""
CASES = {
    "service": (job_of(SERVICE), "success", ""),
    "service-ends": (job_of("with step.service('web', 'true', ready='sleep 60'):\n    pass"), "failure", "step-failed"),
    "green": (job_of("step.run('echo hello')"), "success", ""),
    "exit-code": (job_of("step.run('exit 7', name='seven')"), "failure", "step-failed"),
    "signal": (job_of("step.run('kill -9 $$', name='nine')"), "failure", "step-failed"),
    "timeout": (job_of("step.run('sleep 60', timeout_seconds=1)"), "timeout", "step-timeout"),
    "syntax": (HEAD + "def build(:\n", "failure", "script-invalid"),
    "raises": (job_of("raise ValueError('broken pipe dreams')"), "failure", "script-error"),
    "exits": (job_of("import sys\nsys.exit(0)"), "failure", "script-exited"),
    "exits-by-name": (job_of("exit(0)"), "failure", "script-exited"),
    "leaves": (job_of("import os\nos._exit(0)"), "failure", "script-exited"),
    "killed": (job_of("import os\nos.kill(os.getpid(), 9)"), "failure", "infrastructure-lost"),
    "child-returns": (
        job_of("import os\nif not os.fork():\n    return\nos.wait()\nstep.run('exit 3')"),
        "failure",
        "step-failed",
    ),
    "child-exits": (
        job_of("import os, sys\nif not os.fork():\n    sys.exit(0)\nos.wait()\nstep.run('true')"),
        "success",
        "",
    ),
    "closes-output": (job_of("import sys\nstep.run('true')\nsys.stdout.close()"), "success", ""),
    "no-pipeline": ("print('nothing here')\n", "failure", "pipeline-missing"),
    "no-package": (job_of("import pip"), "failure", "script-error"),
    "no-file": (None, "failure", "script-missing"),
    "open-step": (job_of("step.start('sleep 30', name='left open')"), "failure", "step-open"),
    "caught": (job_of("try:\n    step.run('false')\nexcept Exception:\n    print('caught')"), "failure", "step-failed"),
    "unchecked": (job_of("assert step.run('exit 3', check=False).exit_code == 3"), "success", ""),
    "other-image": (job_of("step.run('true', image='no/such:image')"), "failure", "image-pull-failed"),
    "no-directory": (job_of("step.run('true', working_directory='/nowhere')"), "failure", "command-not-started"),
}


LONG_CASES = {
    "signal",
    "exits",
    "exits-by-name",
    "child-returns",
    "child-exits",
    "closes-output",
    "no-pipeline",
    "no-file",
    "caught",
    "unchecked",
}
"""What tests/pod and tests/core/jobs prove too, and each here with a process of its own."""


def ends_as_expected(danube: Installation, names: set[str]) -> Mapping[str, dict[str, Any]]:
    """Run these cases at the same time; their jobs."""
    cases = {name: case for name, case in CASES.items() if name in names}
    for name, (danubefile, _, _) in cases.items():
        danube.pipeline(name, danubefile)
    danube.sync()
    started = {name: danube.trigger(name) for name in cases}
    found = {name: danube.end_of(job_id, 120) for name, job_id in started.items()}
    ends = {name: (job["status"], job["reason"]) for name, job in found.items()}
    assert ends == {name: (status, reason) for name, (_, status, reason) in cases.items()}
    for name, job in found.items():
        if job["status"] != "success":
            assert job["message"], f"{name} has no message"
            assert job["hint"], f"{name} has no hint"
    return found


@pytest.mark.long
def test_rarer_ends_have_their_status_and_reason(shared: Installation) -> None:
    found = ends_as_expected(shared, LONG_CASES)
    assert "SIGKILL" in found["signal"]["message"] or "137" in found["signal"]["message"]


def test_every_end_has_its_status_and_reason(shared: Installation) -> None:
    found = ends_as_expected(shared, CASES.keys() - LONG_CASES)
    assert "exit code 7" in found["exit-code"]["message"]
    assert "SIGKILL" in found["killed"]["message"]
    assert "danubefile.py:3" in found["syntax"]["message"]
    assert "ValueError: broken pipe dreams" in found["raises"]["message"]
    assert "danubefile.py:5" in found["raises"]["message"]


@pytest.mark.root
def test_a_step_that_is_killed_for_memory_fails_with_that_reason(shared: Installation) -> None:
    hungry = "python3 -c 'x = bytearray(400 << 20); print(len(x))'"
    shared.pipeline("hungry", job_of(f"step.run({hungry!r}, name='hungry')"), resources={"memory_mb": 128})
    shared.sync()
    job = shared.end_of(shared.trigger("hungry"))
    assert (job["status"], job["reason"]) == ("failure", "out-of-memory")


@pytest.mark.long
def test_a_full_workspace_ends_the_job_whatever_the_step_made_of_the_error(shared: Installation) -> None:
    write = "head -c 1200M /dev/zero > f; rm f; head -c 1200M /dev/zero > f; sleep 100"
    body = f"step.run({write!r}, name='writes', check=False)\nstep.run('echo not reached')"
    shared.pipeline("full", job_of(body), workspace_size_gb=1)
    shared.sync()
    job = shared.end_of(shared.trigger("full"))
    assert (job["status"], job["reason"]) == ("failure", "workspace-full")
    assert "the limit is 1024 MB" in job["message"]
    assert "workspace_size_gb" in job["hint"]


def test_a_job_whose_pod_is_killed_from_outside_fails(shared: Installation) -> None:
    shared.pipeline("app", job_of("step.run('echo begun; sleep 100')"))
    shared.sync()
    job_id = shared.trigger("app")
    shared.wait_for_log(job_id, "begun")
    (directory,) = shared.pod_directories(job_id)
    for pid in processes_of_the_pod(shared, job_id):
        os.kill(pid, signal.SIGKILL)
    job = shared.end_of(job_id)
    assert job["status"] == "failure"
    assert job["reason"] in ("pod-lost", "infrastructure-lost")
    wait_until(lambda: not directory.exists(), 30, "the pod's directory to be gone")


def test_a_job_that_takes_too_long_ends(shared: Installation) -> None:
    """The message names the step that ran, if the bound was long enough for this machine to start it."""
    for seconds in (3, 10, 30):
        shared.pipeline("slow", job_of("step.run('sleep 100', name='sleeper')"), max_duration_seconds=seconds)
        shared.sync()
        job = shared.end_of(shared.trigger("slow"))
        assert (job["status"], job["reason"]) == ("timeout", "job-timeout")
        if "sleeper" in job["message"]:
            return
    raise AssertionError(job["message"])


def test_a_cancelled_job_leaves_no_process(shared: Installation) -> None:
    shared.pipeline("app", job_of("step.run(\"trap '' TERM; echo begun; sleep 100; sleep 100\")"))
    shared.sync()
    job_id = shared.trigger("app")
    shared.wait_for_log(job_id, "begun")
    pids = processes_of_the_pod(shared, job_id)
    assert pids
    shared.command("cancel", job_id)
    assert shared.end_of(job_id)["status"] == "cancelled"
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 30, "its processes to be gone")


def test_a_step_is_retried_as_often_as_requested(shared: Installation) -> None:
    flaky = "echo try >> tries; test $(wc -l < tries) -ge 3"
    shared.pipeline("flaky", job_of(f"step.run({flaky!r}, retries=2)\nstep.run('test $(wc -l < tries) -eq 3')"))
    shared.sync()
    assert shared.end_of(shared.trigger("flaky"))["status"] == "success"


def test_parallel_jobs_of_one_pipeline_are_isolated(shared: Installation) -> None:
    body = "step.run('test ! -e mine; touch mine; sleep 1; ls /workspace; ls /proc | grep -c \"^[0-9]\" > /dev/null')"
    shared.pipeline("twin", job_of(body))
    shared.sync()
    twins = [shared.trigger("twin"), shared.trigger("twin")]
    assert [shared.end_of(job_id)["status"] for job_id in twins] == ["success", "success"]


@pytest.mark.long
def test_a_server_with_a_strict_umask_runs_jobs(danube: Installation) -> None:
    """Coordinators can read what they need whatever the umask of the server is."""
    danube.pipeline("app", job_of("step.run('echo hello > file', name='one')\nartifacts.upload('file', name='file')"))
    danube.serve(umask=0o077)
    assert danube.end_of(danube.trigger("app"))["status"] == "success"


def processes_of_the_pod(danube: Installation, job_id: str) -> list[int]:
    """The host's process ids of a pod, from the records of the runtime."""
    found = []
    for record in (file for directory in danube.pod_directories(job_id) for file in directory.rglob("*.json")):
        state = json.loads(record.read_text())
        if isinstance(state, dict) and isinstance(state.get("pid"), int):
            found.append(state["pid"])
    return found
