"""The API with a million jobs stored: requests a second beside uvicorn with starlette, every page's query, five
hundred followers."""

import asyncio
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, percentile
from danube_pkg.adapters.store import Database, SqliteJobs
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.identity.people import TOKEN_PREFIX, new_secret, secret_hash
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.reasons import Status
from tests.support.danube_process import ROOT
from tests.support.server import Installation
from tests.support.waiting import wait_until

JOBS = 1_000_000
PIPELINES = 100
CONNECTIONS = 64
SECONDS = 5.0
ROUNDS = 3
QUERY_BUDGET_MS = 20
QUERY_TIMES = 20
FOLLOWERS = 500
FOLLOWED_LINES = 200_000
WAIT_SECONDS = 6
"""Time for all followers to connect."""

HELLO = """
from danube import pipeline, step

@pipeline(name="hello")
def build():
    step.run("true")
"""

BUSY = f"""
from danube import pipeline, step

@pipeline(name="busy")
def build():
    step.run("sleep {WAIT_SECONDS}; seq {FOLLOWED_LINES}", name="print")
"""

FILL = f"""
INSERT INTO jobs (id, pipeline_id, pipeline, branch, trigger_type, trigger_ref, status, phase, reason, message, generation,
    effect_count, outcome, created_at, started_at, finished_at, deadline_at, log_path, "trigger", settings)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {JOBS})
SELECT printf('00%024d', n), (SELECT id FROM pipelines WHERE name = printf('p%03d', n % {PIPELINES})),
    printf('p%03d', n % {PIPELINES}), CASE WHEN n % 7 = 0 THEN 'feature/' || (n % 5000) ELSE 'main' END, 'webhook',
    'refs/heads/main', CASE WHEN n % 50 = 0 THEN 'failure' WHEN n % 100000 = 3 THEN 'timeout' ELSE 'success' END, 'closed',
    CASE WHEN n % 50 = 0 THEN 'step-failed' ELSE '' END, '', 1, 4, 'success', 1.7e9 + n, 1.7e9 + n + 1, 1.7e9 + n + 60,
    1.7e9 + n + 3600, 'logs/x.log',
    json_object('type', 'webhook', 'actor', 'alice@example.com', 'ref', 'refs/heads/main', 'branch', 'main', 'tag', '',
        'commit_sha', printf('%040x', n), 'params', json('{{}}'), 'pull_request', NULL),
    (SELECT settings FROM pipelines WHERE name = printf('p%03d', n % {PIPELINES}))
FROM numbers
"""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        danube = Installation(Path(directory))
        for number in range(PIPELINES):
            danube.pipeline(f"p{number:03}", HELLO)
        danube.pipeline("busy", BUSY)
        danube.serve()
        danube.stop()
        token = _fill(danube)
        figures = asyncio.run(_queries(danube.data / "danube.db"))
        danube.serve()
        try:
            return [*figures, *_requests(danube, token), *_followers(danube)]
        finally:
            danube.close()


def _fill(danube: Installation) -> str:
    """Insert a million jobs, and a user who may see them all; returns the token of that user."""
    token = new_secret(TOKEN_PREFIX, os.urandom(32))
    with sqlite3.connect(danube.data / "danube.db") as database:
        database.execute(FILL)
        database.execute(
            "INSERT INTO users (id, email, name, created_at, updated_at) VALUES ('bench', 'bench@x', 'b', 0, 0)"
        )
        database.execute("INSERT INTO teams (id, name, created_at, global_admin) VALUES ('bench', 'bench', 0, 1)")
        database.execute("INSERT INTO team_members VALUES ('bench', 'bench', 'admin')")
        database.execute(
            "INSERT INTO tokens (id, secret_hash, user_id, name, scopes, created_at, expires_at) "
            "VALUES ('bench', ?, 'bench', 'bench', ?, 0, 9e9)",
            (secret_hash(token), json.dumps(list(Scope))),
        )
        database.execute("ANALYZE")
    return token


# --- every page's query


async def _queries(path: Path) -> list[Figure]:
    """The slowest query of each kind, at the newest page and in the middle."""
    database = Database(path)
    jobs = SqliteJobs(database)
    few, rare = frozenset(f"p{number:03}" for number in range(20)), Status.TIMEOUT
    middle = f"00{JOBS // 2:024}"
    kinds: Mapping[str, Callable[[str | None], Awaitable[object]]] = {
        "all": lambda before: jobs.list_jobs(JobFilter(before=before)),
        "a rare status": lambda before: jobs.list_jobs(JobFilter(status=rare, before=before)),
        "one pipeline": lambda before: jobs.list_jobs(JobFilter(frozenset({"p003"}), before=before)),
        "pipeline, rare status": lambda before: jobs.list_jobs(JobFilter(frozenset({"p003"}), rare, before=before)),
        "twenty visible": lambda before: jobs.list_jobs(JobFilter(few, before=before)),
        "twenty visible, rare status": lambda before: jobs.list_jobs(JobFilter(few, rare, before=before)),
        "a branch": lambda before: jobs.list_jobs(JobFilter(branch="feature/7", before=before)),
        "main, rare status": lambda before: jobs.list_jobs(JobFilter(None, rare, "main", before)),
        "pipeline and branch": lambda before: jobs.list_jobs(JobFilter(frozenset({"p003"}), None, "main", before)),
        "200 a page": lambda before: jobs.list_jobs(JobFilter(before=before, limit=200)),
        "overview: 100 pipelines, 10 runs each": lambda _: jobs.newest_runs([f"p{n:03}" for n in range(PIPELINES)], 10),
        "a pipeline's figures": lambda _: jobs.job_times("p003", 500),
    }
    figures = []
    try:
        for name, query in kinds.items():
            slowest = 0.0
            for before in (None, middle):
                times = []
                for _ in range(QUERY_TIMES):
                    started = time.perf_counter()
                    await query(before)
                    times.append(time.perf_counter() - started)
                slowest = max(slowest, statistics.median(times))
            figures.append(Figure(f"query: {name}", slowest * 1000, "ms", QUERY_BUDGET_MS))
    finally:
        await database.close()
    return figures


# --- requests


def _requests(danube: Installation, token: str) -> list[Figure]:
    host, port = _address(danube)
    listing = json.dumps(danube.client.get("/api/v1/jobs"))
    content = danube.path / "jobs.json"
    content.write_text(listing)
    ours = _request("/api/v1/jobs", f"Authorization: Bearer {token}")
    with _uvicorn(content, danube.path / "uvicorn.log") as other:
        rates: dict[str, list[float]] = {"danube": [], "starlette": [], "starlette, ready bytes": []}
        tails: list[float] = []
        for _ in range(ROUNDS):  # by turns, so that other load on the machine affects all of them
            run = _load(host, port, ours)
            rates["danube"].append(run["requests"] / run["seconds"])
            tails.append(percentile(run["times"], 99))
            for name, path in (("starlette", "/api/v1/jobs"), ("starlette, ready bytes", "/ready")):
                run = _load("127.0.0.1", other, _request(path))
                rates[name].append(run["requests"] / run["seconds"])
    rate = {name: statistics.median(found) for name, found in rates.items()}
    note = f"starlette {rate['starlette']:.0f}, its ready bytes {rate['starlette, ready bytes']:.0f}; {len(listing) / 1000:.0f} kB each"
    changing = _while_jobs_change(danube, host, port, ours)
    return [
        Figure("GET /api/v1/jobs, 64 connections", rate["danube"], "/s", rate["starlette"], at_most=False, note=note),
        Figure("GET /api/v1/jobs, 99th percentile", statistics.median(tails) * 1000, "ms"),
        Figure("GET /api/v1/jobs while something is written 50 times a second", changing, "/s"),
    ]


def _while_jobs_change(danube: Installation, host: str, port: int, request: bytes) -> float:
    """Requests while each write invalidates every cached response."""
    command = [sys.executable, "-c", _WRITER, str(danube.data / "danube.sock")]
    with subprocess.Popen(command, cwd=ROOT) as writer:
        run = _load(host, port, request)
        writer.terminate()
    return float(run["requests"] / run["seconds"])


_WRITER = """
import http.client, socket, sys, time
while True:
    connection = http.client.HTTPConnection("danube")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
    connection.request("PUT", "/api/v1/secrets/BENCH", b"a value of this moment")
    connection.getresponse().read()
    connection.close()
    time.sleep(0.02)
"""


def _load(host: str, port: int, request: bytes) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.load", host, str(port), str(CONNECTIONS), str(SECONDS)]
    done = subprocess.run(command, input=request, capture_output=True, check=True, cwd=ROOT)
    run: dict[str, Any] = json.loads(done.stdout)
    if run["statuses"] != ["200"]:
        raise RuntimeError(f"answers with {run['statuses']}")
    return run


def _request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: bench", *headers]).encode() + b"\r\n\r\n"


def _address(danube: Installation) -> tuple[str, int]:
    """The address from the server's log."""
    for line in reversed(danube.server_log.read_text().splitlines()):
        if '"server-ready"' in line:
            host, _, port = json.loads(line)["address"].removeprefix("http://").rpartition(":")
            return host, int(port)
    raise RuntimeError("the server has not said where it listens")


@contextmanager
def _uvicorn(content: Path, log: Path) -> Iterator[int]:
    """Run uvicorn and give its port. Its access log goes to a file, as the server's does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "bench.starlette_app:app", "--http", "h11", "--loop", "asyncio"]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=ROOT,
            stdout=file,
            stderr=file,
            env={**os.environ, "BENCH_JSON": str(content)},
        ) as process,
    ):
        try:
            wait_until(lambda: b"running on" in log.read_bytes(), 30, "uvicorn to listen")
            yield port
        finally:
            process.terminate()


# --- followers


def _followers(danube: Installation) -> list[Figure]:
    """How soon after the end of a busy step five hundred followers have all of its log, and how much they slow it."""
    alone, _ = _busy_job(danube, 0)
    watched, behind = _busy_job(danube, FOLLOWERS)
    note = f"{FOLLOWED_LINES} lines; the step took {watched:.2f} s, without followers {alone:.2f} s"
    return [Figure(f"busy step: {FOLLOWERS} followers have all of it after", behind, "s", note=note)]


def _busy_job(danube: Installation, followers: int) -> tuple[float, float]:
    """(seconds that the step took, seconds from the job's end until all followers had everything)."""
    job = danube.trigger("busy")
    followers_process = None
    if followers:
        command = [sys.executable, "-m", "bench.followers", str(danube.data / "danube.sock"), job, str(followers)]
        followers_process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    danube.end_of(job, 120)
    behind = 0.0
    if followers_process is not None:
        output, _ = followers_process.communicate(timeout=120)
        found = json.loads(output)
        if len(set(found["bytes"])) != 1:
            raise RuntimeError(f"followers got different logs: {set(found['bytes'])}")
        ended = datetime.fromisoformat(danube.job(job)["finished_at"]).timestamp()
        behind = found["at"] - ended
    (step,) = danube.client.get(f"/api/v1/jobs/{job}")["steps"]
    return float(step["duration_seconds"]) - WAIT_SECONDS, behind
