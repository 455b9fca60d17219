"""`danube shell` in the kept pod of a real failed job: what it has, what it lacks, and how it ends."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.support.server import Installation
from tests.support.waiting import wait_until

SECRET = "correct-horse-battery"
DANUBEFILE = """
from danube import pipeline, secrets, step

@pipeline(name="app")
def build():
    token = secrets.get("TOKEN")
    step.run("echo $TOKEN > leaked; echo made > file; mkdir -p /tmp/kept; (sleep 600 &); exit 3", env={"TOKEN": token})
"""
LOOK = """
cat file leaked
ls -d /tmp/kept
env | grep -c '^DANUBE_JOB_ID='
env | grep -i token && echo TOKEN FOUND
ls /.danube
python3 - <<'PYTHON'
import socket
for target in (("127.0.0.1", 31280), ("192.0.2.1", 80)):
    try:
        socket.create_connection(target, 3)
        print("CONNECTED", target)
    except OSError as error:
        print("closed", target[0], error.strerror)
PYTHON
ls -l /proc/*/exe 2>/dev/null | grep sleep && echo A STEP RUNS
echo changed > file
exit 5
"""


def pods(danube: Installation) -> list[Path]:
    return list((danube.data / "pods").glob("*"))


def failed(danube: Installation, pipeline: str) -> str:
    job = danube.end_of(danube.trigger(pipeline))
    assert (job["status"], job["reason"]) == ("failure", "step-failed")
    return str(job["id"])


@pytest.mark.slow("five real jobs, six shells and two kills of the server")
def test_a_failed_jobs_pod_is_entered_and_removed(danube: Installation) -> None:
    for name, keep in (("app", "20m"), ("soon", "3s"), ("green", "20m"), ("plain", 0)):
        text = DANUBEFILE.replace("exit 3", "true") if name == "green" else DANUBEFILE
        danube.pipeline(name, text, keep_failed_seconds=keep)
    danube.serve()
    danube.command("secrets", "set", "TOKEN", stdin=SECRET)

    job_id = failed(danube, "app")
    kept = pods(danube)
    assert len(kept) == 1
    assert f"--- its pod is kept for 20 min, without a network: danube shell {job_id}" in danube.log(job_id)
    assert "kept pod" in danube.command("jobs", job_id).stdout
    assert "Its pod is kept until" in danube.command("explain", job_id).stdout
    ledger, log = danube.client.get(f"/api/v1/jobs/{job_id}/egress"), danube.log(job_id)

    done = danube.command("shell", job_id, stdin=LOOK, check=False)
    assert done.returncode == 5, done
    assert "made\n***\n/tmp/kept\n1\n" in done.stdout
    assert SECRET not in done.stdout
    assert "danube-step\n" in done.stdout
    assert not re.search("TOKEN FOUND|CONNECTED|A STEP RUNS|^token$", done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.count("closed") == 2
    assert danube.command("shell", job_id, stdin="cat file").stdout == "changed\n", "a second shell sees the first"
    assert danube.client.get(f"/api/v1/jobs/{job_id}/egress") == ledger, "the ledger was sealed before"
    assert danube.log(job_id) == log

    entries = json.loads(danube.command("audit", "--json").stdout)
    opened = [one["action"] for one in entries if one["action"] in ("open-shell", "close-shell", "use-shell")]
    assert opened == ["close-shell", "open-shell"] * 2

    for other in (danube.trigger("green"), failed(danube, "plain")):
        danube.end_of(other)
        refused = danube.command("shell", other, stdin="true", check=False)
        assert (refused.returncode, "is not kept" in refused.stderr) == (3, True), refused

    danube.kill()
    danube.serve()
    assert pods(danube) == kept, "a restarted server keeps it"
    assert danube.command("shell", job_id, stdin="cat file").stdout == "changed\n"
    danube.command("shell", job_id, "--remove")
    wait_until(lambda: not pods(danube), 30, "the pod to be removed")

    ended = failed(danube, "soon")
    danube.kill()
    time_over = time.monotonic() + 3
    wait_until(lambda: time.monotonic() > time_over, 10, "the time of the pod to be over")
    danube.serve()
    wait_until(lambda: not pods(danube), 30, "the pod to be removed in spite of the kill")
    assert danube.job(ended)["kept_until"] is None
