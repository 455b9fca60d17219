"""Two hundred hostile jobs, ten at a time on a server of their own: honest jobs beside them are green and whole, and
afterwards nothing is left over.

A failure names the seeds with their tricks. `python -m tests.adversary.jobs SEED` prints a danubefile, and this repeats
a batch:

    .venv/bin/python -m pytest -m "long or soak" 'tests/adversary/test_batches.py::test_a_batch[7]'
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from danube_pkg.adapters.runtimes.sandbox.leftovers import leftovers
from danube_pkg.kit.process_figures import descriptors_of, memory_mb
from tests.adversary.jobs import HONEST, LINES, NUMBERS, HostileJob, hostile_job
from tests.support.server import FILES_TEST, Installation
from tests.support.waiting import wait_until

BATCHES = 20

LONG_RUN = 2
"""So many are in `make e2e`, all in `make soak`."""

HOSTILE, HONEST_JOBS = 10, 3
"""Jobs of a batch."""

AT_ONCE = 6

END_SECONDS = 240
"""For a whole batch on a busy machine; each hostile job ends after 40 s at the latest."""

MAX_GROWTH_MB = 100
"""What a server's memory may grow by in a batch, after its first jobs: what ten jobs of 5 MB of output need once."""

MAX_MORE_DESCRIPTORS = 8
"""Files that a server may have more afterwards, such as connections that have not been closed for idleness yet."""

CONFIGURATION = """
apiVersion: danube.dev/v1
kind: Config
metadata: {name: global}
spec: {max_concurrent_jobs: %d, max_artifacts_per_job: 40}
"""

EXPECTED_ERRORS = {"step-overdue", "record-not-authentic", "log-repaired", "log-restored", "step-refused"}
"""Errors in the log of a server that are about a hostile job."""


@pytest.fixture
def danube(tmp_path: Path) -> Iterator[Installation]:
    for name in ("danube-step", "danube-ns"):
        build_supervisor(name)
    made = Installation(tmp_path)
    (made.config / "config.yaml").write_text(CONFIGURATION % AT_ONCE)
    made.add_settings(FILES_TEST)
    try:
        yield made
    finally:
        abandon(made)


def abandon(danube: Installation) -> None:
    """End what is left after a failed batch."""
    try:
        danube.close()
    finally:
        danube.abandon()


@pytest.mark.parametrize(
    "batch",
    [pytest.param(n, marks=pytest.mark.long if n < LONG_RUN else pytest.mark.soak) for n in range(BATCHES)],
)
def test_a_batch(danube: Installation, batch: int) -> None:
    hostile = [hostile_job(batch * HOSTILE + number) for number in range(HOSTILE)]
    try:
        _run_batch(danube, hostile)
    except BaseException as error:
        for job in hostile:
            error.add_note(str(job))
        error.add_note(f".venv/bin/python -m pytest -m 'long or soak' '{__file__}::test_a_batch[{batch}]'")
        raise


def _run_batch(danube: Installation, hostile: Sequence[HostileJob]) -> None:
    danube.pipeline("honest", HONEST)
    for job in hostile:
        danube.pipeline(f"hostile-{job.seed}", job.danubefile, **job.spec)
    danube.serve()
    check_honest(danube, danube.trigger("honest"))
    check_nothing_is_left(danube)
    descriptors, memory = descriptors_of(danube.process_id), memory_mb(danube.process_id)

    started = {danube.trigger(f"hostile-{job.seed}"): job for job in hostile[: HOSTILE // 2]}
    honest = [danube.trigger("honest") for _ in range(HONEST_JOBS)]
    started |= {danube.trigger(f"hostile-{job.seed}"): job for job in hostile[HOSTILE // 2 :]}
    wait_for_ends(danube, started)

    for job_id in honest:
        check_honest(danube, job_id)
    for job_id, job in started.items():
        check_end(danube, job, job_id)
    check_nothing_is_left(danube)
    wait_until(
        lambda: descriptors_of(danube.process_id) <= descriptors + MAX_MORE_DESCRIPTORS,
        60,
        f"no more than {descriptors} descriptors of the server",
    )
    assert memory_mb(danube.process_id) <= memory + MAX_GROWTH_MB
    check_honest(danube, danube.trigger("honest"))
    check_nothing_is_left(danube)
    danube.stop()
    assert unexpected_errors(danube.server_log.read_text()) == []


def wait_for_ends(danube: Installation, started: Mapping[str, HostileJob]) -> None:
    """Wait until all jobs have ended; those that are to be cancelled are, some seconds after they have begun."""
    began, until = dict[str, float](), time.monotonic() + END_SECONDS

    def all_ended() -> bool:
        jobs = {job["id"]: job for job in danube.jobs()}
        for job_id, job in started.items():
            if jobs[job_id]["status"] != "running" or job.cancel_seconds is None:
                continue
            if time.monotonic() - began.setdefault(job_id, time.monotonic()) >= job.cancel_seconds:
                danube.command("cancel", job_id, check=False)
        return all(job["status"] not in ("pending", "running") for job in jobs.values())

    wait_until(all_ended, until - time.monotonic(), "the end of all jobs")


def check_end(danube: Installation, job: HostileJob, job_id: str) -> None:
    """A hostile job has ended in a way that is explained."""
    ended = danube.job(job_id)
    what = f"{job} ended as {ended['status']}, {ended['reason']}: {ended['message']}"
    assert ended["status"] in ("success", "failure", "timeout", "cancelled"), what
    if ended["status"] != "success":
        assert ended["reason"], what
        assert ended["message"], what
    if ended["status"] == "cancelled":
        assert job.cancel_seconds is not None, what
    assert (danube.data / "logs" / f"{job_id}.log").exists(), what


def check_honest(danube: Installation, job_id: str) -> None:
    """An honest job is green, its log has every line once and in order, and its artifacts are whole."""
    job = danube.end_of(job_id, END_SECONDS)
    assert job["status"] == "success", f"{job['reason']}: {job['message']}\n{danube.log(job_id)[-3000:]}"
    found = re.findall(r"^line (\d+) of the honest job$", danube.printed(job_id), re.MULTILINE)
    assert found == [str(number) for number in range(1, LINES + 1)]
    assert (danube.data / "artifacts" / job_id / "numbers").read_bytes() == NUMBERS
    names = [one["name"] for one in json.loads(danube.command("artifacts", "list", job_id, "--json").stdout)]
    assert sorted(names) == ["numbers", "out"]


def check_nothing_is_left(danube: Installation) -> None:
    """Processes, mounts, loop devices, control groups, user ids and directories of pods are gone."""
    left: list[str] = []

    def is_clean() -> bool:
        left[:] = leftovers(danube.data)
        return not left

    try:
        wait_until(is_clean, 60, "pods to leave nothing")
    except AssertionError as error:
        error.add_note("\n".join(left[:20]))
        raise


def unexpected_errors(log: str) -> Sequence[str]:
    """Lines of a server's log about a fault of the server: tracebacks, and errors that no job can cause."""
    found = []
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        if event.get("level") in ("error", "critical") and event.get("event") not in EXPECTED_ERRORS:
            found.append(line)
    return found
