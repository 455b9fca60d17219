"""Collects what `promises.py` judges: from the API as a user reads it, from the data directory, from the machine."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.leftovers import leftovers
from danube_pkg.adapters.store.copies import check_integrity
from danube_pkg.bootstrap.keys import DATABASE_NAME
from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.selftest.faults import egress_proxies
from danube_pkg.cli.selftest.load import PARAMETER, Load
from danube_pkg.cli.selftest.promises import (
    EndedJob,
    PromiseResult,
    artifact_problem,
    double_executions,
    end_problem,
    log_problem,
    lost_jobs,
    result,
)
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.reasons import Status

CLEAN_SECONDS = 120.0
"""Within this time the pods of ended jobs are removed, also on a busy machine."""

POLL_SECONDS = 0.2

PIECE_BYTES = 1024**2


def of_jobs(
    client: ApiClient, load: Load, killed: Collection[str], reported: Mapping[str, Mapping[str, Collection[str]]]
) -> list[PromiseResult]:
    """The promises about each job, by a server that runs. killed: jobs whose pods were killed."""
    ends, twice, logs, artifacts = list[str](), list[str](), list[str](), list[str]()
    for job in _ended_jobs(client, load, killed):
        ends.append(end_problem(job))
        twice += double_executions(job, reported.get(job.submission.job_id, {}))
        logs.append(log_problem(job))
        artifacts.append(artifact_problem(job))
    listed = {str(one["id"]): _number(one) for one in client.listed("/api/v1/jobs", "jobs")}
    return [
        result("no accepted job was lost", lost_jobs(load.submissions, load.refused.keys(), listed)),
        result("nothing ran twice", twice),
        result("every end is true", ends),
        result("every log is whole", logs),
        result("every artifact is whole", artifacts),
    ]


def of_server(client: ApiClient) -> list[PromiseResult]:
    """What the running server says of itself."""
    ready = client.get("/health/ready", accept=(503,))
    audit = client.get("/api/v1/audit/check")
    return [
        result("the server is ready", [f"{one['part']}: {one['reason']}" for one in ready["parts"] if not one["ok"]]),
        result("the audit log is complete", () if audit["whole"] else (f"entry {audit['broken_at']}",)),
    ]


def of_machine(data: Path) -> PromiseResult:
    """Nothing of any pod exists. Waits for removals that are under way."""
    deadline = time.monotonic() + CLEAN_SECONDS
    while (left := leftovers(data)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return result("pods left nothing", left)


def of_stopped_server(data: Path, log: Path, secret: bytes) -> list[PromiseResult]:
    """What can be read when no server runs."""
    deadline = time.monotonic() + CLEAN_SECONDS
    while (proxies := egress_proxies(data)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return [
        result("no egress proxy is left", [f"process {process}" for process, _ in proxies]),
        result("no secret was written", [str(path) for path in files_with(secret, data, log)]),
        result("the database is whole", _database_problems(data / DATABASE_NAME)),
        result("the server has no fault of its own", tracebacks(log)),
    ]


def files_with(value: bytes, data: Path, *more: Path) -> Iterator[Path]:
    """Files that hold a value, below a directory and among others."""
    below = (Path(directory) / name for directory, _, names in os.walk(data) for name in names)
    for path in (*below, *more):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink() and _holds(path, value):
                yield path


def tracebacks(log: Path) -> Sequence[str]:
    """Lines of a server's log with a traceback, and those that are no events."""
    with log.open(errors="replace") as lines:
        return [line.strip()[:500] for line in lines if not line.startswith("{") or "Traceback (most recent" in line]


def _ended_jobs(client: ApiClient, load: Load, killed: Collection[str]) -> Iterator[EndedJob]:
    for submission in load.submissions:
        job = load.ended.get(submission.job_id)
        if not submission.job_id:
            continue  # its answer was lost; `lost_jobs` judges it
        if job is None:
            job = client.get(f"/api/v1/jobs/{submission.job_id}")
        with client.open(f"/api/v1/jobs/{submission.job_id}/log") as response:
            log = response.read().decode(errors="replace")
        artifact = None
        if submission.kind.artifact and job["status"] == Status.SUCCESS:
            artifact = _artifact(client, f"/api/v1/jobs/{submission.job_id}/artifacts/numbers")
        was_killed = submission.job_id in killed
        yield EndedJob(submission, job["status"], job["reason"], job["message"], log, artifact, was_killed)


def _artifact(client: ApiClient, path: str) -> bytes | None:
    try:
        with client.open(path) as response:
            return response.read()
    except PlatformError:
        return None


def _number(job: Mapping[str, object]) -> int:
    trigger = job["trigger"]
    assert isinstance(trigger, Mapping)
    return int(trigger["params"][PARAMETER])


def _holds(path: Path, value: bytes) -> bool:
    """Reads piece by piece; a value may lie across two."""
    before = b""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            if value in before + piece:
                return True
            before = piece[-len(value) :]
    return False


def _database_problems(path: Path) -> Sequence[str]:
    try:
        check_integrity(path)
    except PlatformError as error:
        return [str(error)]
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        owed = connection.execute("SELECT count(*) FROM effects WHERE done_at IS NULL").fetchone()[0]
        still = connection.execute("SELECT count(*) FROM jobs WHERE phase <> 'closed'").fetchone()[0]
    return [*([f"{owed} effects are owed"] if owed else ()), *([f"{still} jobs are not closed"] if still else ())]
