"""A repository with a history of 50 MB: its mirror and its stream, in time and memory, beside `git clone --depth 1`
from the same server."""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.figures import Figure
from danube_pkg.adapters.git.process import WORKER_MODULE, Worker
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.configuration.settings import SourceSettings
from danube_pkg.core.repositories.revisions import GitProgram
from tests.support.git_servers import (
    ENVIRONMENT,
    HttpServer,
    ServedRepository,
    git,
)
from tests.support.git_worker import Spawned

Answer = TypeVar("Answer")

FILES, COMMITS, CHANGED = 2000, 500, 4
FILE_BYTES = 12 * 1024
"""Random bytes: 24 MB in the newest tree, as much again in its history."""

_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "a") as file:
    file.write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}\\n")
sys.exit(code)
"""
"""Runs a command and records its peak memory and that of its children, in KiB."""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as name:
        directory = Path(name)
        repository = ServedRepository(directory / "served" / "app.git")
        _fill(repository)
        with HttpServer(directory / "served") as server:
            return asyncio.run(_measure(directory, repository, server.url(repository)))


async def _measure(directory: Path, repository: ServedRepository, url: str) -> list[Figure]:
    size = sum(path.stat().st_size for path in repository.bare.rglob("*.pack")) / 1e6
    memory = directory / "memory"
    clone_seconds = _run(memory, ["git", "clone", "-q", "--depth", "1", url, str(directory / "clone")])
    clone_mb = _peak_mb(memory)
    found = [
        Figure("git clone --depth 1: time", clone_seconds, "s", note=f"a history of {size:.0f} MB"),
        Figure("git clone --depth 1: memory", clone_mb, "MB"),
    ]
    for program in GitProgram:
        found += await _measure_program(directory, repository, url, program, clone_seconds)
    return found


async def _measure_program(
    directory: Path, repository: ServedRepository, url: str, program: GitProgram, clone_seconds: float
) -> list[Figure]:
    memory = directory / f"memory-{program}"
    worker = Worker(Spawned([sys.executable, "-c", _MEASURED, str(memory), sys.executable, "-P", "-m", WORKER_MODULE]))
    sources = GitSources(directory / f"repos-{program}", settings=SourceSettings(git=program), worker=worker)
    commit = git(repository.bare, "rev-parse", "main")
    mirror, source = await _timed(sources.open(url, commit))
    started = time.perf_counter()
    streamed = sum([len(chunk) async for chunk in source.stream()]) / 1e6
    stream = time.perf_counter() - started
    peak_mb = _peak_mb(memory)
    again, source = await _timed(sources.open(url, commit))
    await source.close()
    _change(repository)
    following, source = await _timed(sources.open(url, git(repository.bare, "rev-parse", "main")))
    await source.close()
    beside = f"clone --depth 1: {clone_seconds:.2f} s"
    return [
        Figure(f"mirror by {program}: first, time", mirror, "s", note=beside),
        Figure(f"mirror by {program}: next commit, time", following, "s"),
        Figure(f"mirror by {program}: same commit, time", again, "s"),
        Figure(f"stream by {program}: time", stream, "s", note=f"{streamed:.0f} MB of tar"),
        Figure(f"mirror and stream by {program}: memory", peak_mb, "MB", note="one process"),
    ]


async def _timed(work: Awaitable[Answer]) -> tuple[float, Answer]:
    started = time.perf_counter()
    answer = await work
    return time.perf_counter() - started, answer


def _run(memory: Path, command: Sequence[str]) -> float:
    started = time.perf_counter()
    words = [sys.executable, "-c", _MEASURED, str(memory), *command]
    subprocess.run(words, check=True, env={**os.environ, **ENVIRONMENT})
    return time.perf_counter() - started


def _peak_mb(memory: Path) -> float:
    """The peak since the previous call."""
    peak = max(map(int, memory.read_text().split()))
    memory.unlink()
    return peak / 1024


def _fill(repository: ServedRepository) -> None:
    """Write the history by fast-import, which takes a second for five hundred commits."""
    numbers = random.Random(1)
    lines: list[bytes] = []
    for commit in range(COMMITS):
        message = f"commit {commit}".encode()
        lines.append(b"commit refs/heads/main\ncommitter A <a@example.com> %d +0000\n" % (1_700_000_000 + commit))
        lines.append(b"data %d\n%s\n" % (len(message), message))
        names = range(FILES) if commit == 0 else numbers.sample(range(FILES), CHANGED)
        for name in names:
            data = numbers.randbytes(FILE_BYTES)
            lines.append(b"M 100644 inline dir%d/file%d\ndata %d\n%s\n" % (name % 50, name, len(data), data))
    subprocess.run(
        ["git", "-C", str(repository.bare), "fast-import", "--quiet"],
        input=b"".join(lines),
        check=True,
        env={**os.environ, **ENVIRONMENT},
    )
    git(repository.bare, "repack", "-q", "-a", "-d")
    git(repository.work, "pull", "-q", "--depth", "1", f"file://{repository.bare}", "main")


def _change(repository: ServedRepository) -> None:
    repository.commit({"dir0/file0": f"changed at {time.time()}\n"})
