"""The jobs of a self-test: what each kind runs, and how it must end. Pure."""

import textwrap
from collections.abc import Mapping
from typing import Any

from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import Record, field

SECRET_NAME = "SELFTEST_TOKEN"

LINES = 150
"""What the step of a job prints, over about three seconds: long enough to be interrupted by several faults."""

ARTIFACT_LINES = 20_000
"""Numbers in an artifact, about 110 kB: several pieces of an upload."""

WITNESS = "witness.test"
"""The name by which jobs reach the self-test's own HTTP server through the egress proxy."""

REPORT_TRIES = 240
"""Half a second each: longer than any fault, and than a restart on a busy machine."""

_HEAD = """
import os, time, urllib.request
from danube import artifacts, ctx, pipeline, secrets, step

SCRIPT = os.urandom(8).hex()  # another run of this script has another one

def report(what):
    url = f"http://{witness}/ran/{ctx.job_id}/{what}/{SCRIPT}"
    for left in reversed(range(TRIES)):
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if not left:
                raise
            time.sleep(0.5)
"""

_MARK = "echo mark $(cat /proc/sys/kernel/random/uuid)"
"""Printed once by each step: another execution prints another one."""


class JobKind(Record):
    """A pipeline and how each of its jobs must end. danubefile: "" for one that is read from the Git server.

    marks: how many steps print a mark. lines: how many numbered lines a successful job prints. cancelled: the self-test
    cancels it once it runs. spec: keys of the pipeline beside its repository.
    """

    name: str
    danubefile: str
    status: Status
    reason: Reason = Reason.NONE
    marks: int = 0
    lines: int = 0
    artifact: bool = False
    reports: bool = False
    cancelled: bool = False
    cloned: bool = False
    spec: Mapping[str, Any] = field(default_factory=dict)


def kinds(address: str) -> tuple[JobKind, ...]:
    """address: `HOST:PORT` of the self-test's HTTP server, by which each job reports that it ran."""
    head = _HEAD.replace("{witness}", f"{WITNESS}:{address.rpartition(':')[2]}").replace("TRIES", str(REPORT_TRIES))
    whole = f"""
@pipeline(name="whole")
def build():
    report("begin")
    token = secrets.get("{SECRET_NAME}")
    step.run('{_MARK}; i=0; while [ $i -lt {LINES} ]; do echo line-$i=$TOKEN; i=$((i+1)); sleep 0.02; done',
             name="print", env={{"TOKEN": token}})
    with step.parallel():
        step.start('{_MARK}; seq {ARTIFACT_LINES} > numbers', name="write")
        step.start('{_MARK}; sleep 0.2', name="wait")
    artifacts.upload("numbers", name="numbers")
    report("end")
"""
    fails = f"""
@pipeline(name="fails")
def build():
    step.run('{_MARK}; sleep 0.5; exit 3', name="fail")
"""
    endless = f"""
@pipeline(name="endless")
def build():
    step.run('{_MARK}; sleep 600', name="sleep")
"""
    return (
        JobKind("whole", head + whole, Status.SUCCESS, marks=3, lines=LINES, artifact=True, reports=True),
        JobKind("cloned", "", Status.SUCCESS, marks=1, cloned=True),
        JobKind("fails", head + fails, Status.FAILURE, Reason.STEP_FAILED, marks=1),
        JobKind("cancelled", head + endless, Status.CANCELLED, Reason.CANCELLED, marks=1, cancelled=True),
        JobKind(
            "overdue",
            head + endless,
            Status.TIMEOUT,
            Reason.JOB_TIMEOUT,
            marks=1,
            spec={"max_duration_seconds": 4},
        ),
    )


def repository_files() -> Mapping[str, str]:
    """The files of the Git repository from which jobs of the kind `cloned` are read."""
    text = f"""
    from danube import pipeline, step

    @pipeline(name="cloned")
    def build():
        step.run('{_MARK}; test "$(cat content)" = "from the repository"; sleep 1', name="read")
    """
    return {"danubefile.py": textwrap.dedent(text), "content": "from the repository\n"}


def small_kind() -> JobKind:
    """The job of which thousands run: one step, no network."""
    text = f"""
    from danube import pipeline, step

    @pipeline(name="small")
    def build():
        step.run('{_MARK}; i=0; while [ $i -lt 5 ]; do echo line-$i=; i=$((i+1)); done', name="print")
    """
    return JobKind("small", textwrap.dedent(text), Status.SUCCESS, marks=1, lines=5)


def artifact_content() -> bytes:
    """What `seq` writes into the artifact of a job."""
    return "".join(f"{number}\n" for number in range(1, ARTIFACT_LINES + 1)).encode()
