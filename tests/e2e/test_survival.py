"""The server is killed while jobs run: the same process continues, no log line is lost or doubled, and the job is
green."""

import random
import re
import subprocess
from functools import partial

import pytest

from tests.support.danube_process import DANUBE
from tests.support.server import Installation
from tests.support.waiting import wait_until

COUNTER = """
from danube import pipeline, secrets, step

@pipeline(name="counter")
def build():
    token = secrets.get("TOKEN")
    step.run("echo pid $$; i=0; while [ $i -lt 400 ]; do echo line-$i=$TOKEN; i=$((i+1)); sleep 0.01; done",
             name="count", env={"TOKEN": token})
    with step.parallel():
        step.run("for i in 1 2 3 4 5; do echo left-$i; sleep 0.05; done", name="left")
        step.run("for i in 1 2 3 4 5; do echo right-$i; sleep 0.05; done", name="right")
"""
SECRET = "correct-horse-battery-staple"


def prepared(danube: Installation) -> None:
    danube.pipeline("counter", COUNTER)
    danube.serve()
    danube.command("secrets", "set", "TOKEN", stdin=SECRET)


def assert_whole(danube: Installation, job_id: str) -> None:
    printed = danube.printed(job_id)
    assert re.findall(r"line-(\d+)=\*\*\*\n", printed) == [str(n) for n in range(400)]
    assert len(re.findall(r"^pid \d+$", printed, re.MULTILINE)) == 1, "the step ran twice"
    for side in ("left", "right"):
        assert re.findall(rf"{side}-(\d)", printed) == list("12345")
    assert SECRET not in printed


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
def test_a_server_that_is_killed_at_random_times_loses_nothing(danube: Installation, seed: int) -> None:
    survive(danube, seed, kills=3)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10, 20))
def test_ten_kills_in_one_job(danube: Installation, seed: int) -> None:
    survive(danube, seed, kills=10)


def survive(danube: Installation, seed: int, kills: int) -> None:
    """Kill the server `kills` times, each at a random length of the log, then wait for the job."""
    chance = random.Random(seed)
    print(f"seed {seed}")
    prepared(danube)
    job_id = danube.trigger("counter")
    for _ in range(kills):
        log = danube.data / "logs" / f"{job_id}.log"
        more = (log.stat().st_size if log.exists() else 0) + chance.randrange(0, 900)
        wait_until(
            partial(has_grown, danube, job_id, more),
            30,
            "the log to grow",
        )
        danube.kill()
        danube.serve()
    assert danube.end_of(job_id)["status"] == "success"
    assert_whole(danube, job_id)
    assert danube.files_with(SECRET.encode()) == []


def test_a_follower_continues_at_its_offset_after_a_restart(danube: Installation) -> None:
    prepared(danube)
    job_id = danube.trigger("counter")
    following = subprocess.Popen(
        [*DANUBE, "logs", "-f", job_id], stdout=subprocess.PIPE, text=True, env=danube.environment, cwd=danube.path
    )
    for number in (40, 200):
        danube.wait_for_log(job_id, f"line-{number}=")
        danube.kill()
        danube.serve()
    printed, _ = following.communicate(timeout=60)
    assert following.returncode == 0
    assert printed == danube.log(job_id)


def has_grown(danube: Installation, job_id: str, size: int) -> bool:
    """Whether the log has that size, or the job has ended."""
    log = danube.data / "logs" / f"{job_id}.log"
    if log.exists() and log.stat().st_size >= size:
        return True
    return danube.job(job_id)["status"] not in ("pending", "running")


def test_jobs_continue_after_a_regular_stop(danube: Installation) -> None:
    prepared(danube)
    job_id = danube.trigger("counter")
    danube.wait_for_log(job_id, "line-20=")
    danube.stop()
    danube.serve()
    assert danube.end_of(job_id)["status"] == "success"
    assert_whole(danube, job_id)
