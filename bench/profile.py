"""`make profile`: where the processor time of one job goes. As root, since the kernel reports the ends of processes to
root alone; the syncs need strace.

A server reads a repository over HTTP whose mirror it has, and runs jobs one at a time. Every process that descends from
the server is counted, with its threads, when it ends; processes of other users of the machine are not.
"""

import argparse
import collections
import contextlib
import ctypes
import multiprocessing
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from bench.figures import Figure
from bench.task_exits import EndedTask, TaskExits
from tests.support.git_servers import HttpServer, ServedRepository
from tests.support.server import Installation
from tests.support.waiting import wait_until

JOBS = 15
TICK = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER = 36

DANUBEFILE = """
from danube import pipeline, step

@pipeline(name="app")
def build():
    for number in range({steps}):
        step.run("true", name=f"step {{number}}")
"""

PROGRAMS = {
    "server": "danube_pkg.bootstrap.serve",
    "Git worker": "danube_pkg.adapters.git.worker",
    "coordinator": "danube_pkg.pod.coordinator",
    "egress proxy": "danube_pkg.adapters.egress.program",
}
"""What each Python process imports."""


@dataclass
class JobProfile:
    """What one job took. processes: for each kind of process (count, processor ms); server_ms: of the server itself."""

    server_ms: float
    wall_ms: float
    post_ms: float
    processes: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def cpu_ms(self) -> float:
        return self.server_ms + sum(ms for _, ms in self.processes.values())


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.jobs} jobs\n")
    for steps in (1, 2):
        _print_jobs(steps, _profiled(steps, options.jobs))
    print_imports()
    if shutil.which("strace"):
        _print_syncs()
    return 0


def measure() -> list[Figure]:
    """The figures of this suite."""
    jobs = _profiled(2, JOBS)
    return [
        Figure("processor time of a job of two steps", statistics.median(one.cpu_ms for one in jobs) / 1000, "s", 0.25),
        Figure("job of two steps, known to finished", statistics.median(one.wall_ms for one in jobs) / 1000, "s", 0.3),
        Figure("answer to the request for a job", statistics.median(one.post_ms for one in jobs), "ms", 30),
    ]


@contextlib.contextmanager
def profiled_server(steps: int) -> Iterator[tuple[Installation, int]]:
    """A server that has run a job of so many steps already, so that the mirror is filled and the worker is warm; with
    the process id of its Git server."""
    with tempfile.TemporaryDirectory(prefix="danube-profile-") as name:
        directory = Path(name)
        repository = ServedRepository(directory / "served" / "app.git")
        repository.commit({"danubefile.py": DANUBEFILE.format(steps=steps)})
        danube = Installation(directory / "danube", interpreter=True)
        with _git_server(directory / "served", repository) as (url, git_server):
            danube.pipeline("app", None, repository=url)
            danube.serve()
            try:
                run_job(danube)
                yield danube, git_server
            finally:
                danube.close()


def run_job(danube: Installation) -> tuple[float, float]:
    """Run a job and wait for the end of its pod: (ms until the request is answered, ms until the job has ended)."""
    started = time.perf_counter()
    job = danube.client.post("/api/v1/pipelines/app/jobs", {})
    answered = time.perf_counter()
    for event in danube.client.follow(f"/api/v1/jobs/{job['id']}/events"):
        if event.name == "end":
            break
    ended = time.perf_counter()
    done = danube.end_of(job["id"])
    if done["status"] != "success":
        raise RuntimeError(f"the job ended as {done['status']}: {done['message']}")
    wait_until(lambda: not any((danube.data / "pods").glob("*")), 30, "the pod to be removed")
    return (answered - started) * 1000, (ended - answered) * 1000


def _profiled(steps: int, jobs: int) -> list[JobProfile]:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what loses its parent becomes a child of this process
    found = []
    with TaskExits() as exits, profiled_server(steps) as (danube, git_server):
        for _ in range(jobs):
            _reap(danube.process_id)
            exits.read()
            before = _cpu_ms(danube.process_id)
            post, wall = run_job(danube)
            one = JobProfile(_cpu_ms(danube.process_id) - before, wall, post)
            _reap(danube.process_id)
            one.processes = by_kind(exits.read(), danube.process_id, git_server)
            found.append(one)
    return found


def _reap(server: int) -> None:
    """Wait for children that have lost their parent."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid != server:
            os.waitpid(found.si_pid, 0)


def _cpu_ms(process: int) -> float:
    """The time of the process's running threads, from schedstat, which has nanoseconds; `stat` has hundredths."""
    total = 0
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e6


def by_kind(ended: Sequence[EndedTask], server: int, beside: int = 0) -> dict[str, tuple[int, float]]:
    """(processes, processor ms) of each kind of process below the server, and below what has lost its parent. beside: a
    process whose children do not count."""
    parents = {one.process: one.parent for one in ended}
    counted: dict[str, set[int]] = collections.defaultdict(set)
    used: dict[str, float] = collections.defaultdict(float)
    for one in ended:
        if one.process == server:
            counted["server"].add(server)
            used["server's ended threads"] += one.cpu_ms
            continue
        if _descends(one.process, parents, server, beside):
            kind = one.name
            counted[kind].add(one.process)
            used[kind] += one.cpu_ms
    return {kind: (len(counted[kind]), ms) for kind, ms in used.items()}


def _descends(process: int, parents: Mapping[int, int], server: int, beside: int) -> bool:
    while process > 1:
        if process in (server, os.getpid(), beside):
            return process != beside
        process = parents.get(process) or _parent_of(process)
    return False


def _parent_of(process: int) -> int:
    """0 for one that has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _print_jobs(steps: int, jobs: Sequence[JobProfile]) -> None:
    def median(value: Callable[[JobProfile], float]) -> float:
        return statistics.median(map(value, jobs))

    print(f"A job of {steps} step{'s' if steps > 1 else ''}: processor {median(lambda one: one.cpu_ms):.0f} ms, "
          f"from known to finished {median(lambda one: one.wall_ms):.0f} ms, "
          f"request answered after {median(lambda one: one.post_ms):.0f} ms")  # fmt: skip
    print(f"  {'process':<26} {'started':>7} {'processor ms':>13}")
    print(f"  {'server':<26} {0:>7} {median(lambda one: one.server_ms):>13.1f}")
    kinds = {kind for one in jobs for kind in one.processes}
    rows = dict[str, tuple[float, float]]()
    for kind in kinds:
        counts, times = zip(*(one.processes.get(kind, (0, 0.0)) for one in jobs), strict=True)
        rows[kind] = statistics.median(counts), statistics.median(times)
    for kind, (count, ms) in sorted(rows.items(), key=lambda row: -row[1][1]):
        if count or ms:
            print(f"  {kind:<26} {count:>7.0f} {ms:>13.1f}")
    print()


@contextlib.contextmanager
def _git_server(root: Path, repository: ServedRepository) -> Iterator[tuple[str, int]]:
    """The repository's URL, served by a process of its own, which is not a part of the figures; and its id."""
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(root, repository, its))
    process.start()
    try:
        yield mine.recv(), process.pid or 0
    finally:
        process.kill()
        process.join()


def _serve(root: Path, repository: ServedRepository, started: Connection) -> None:
    with HttpServer(root) as server:
        started.send(server.url(repository))
        signal.pause()


def print_imports() -> None:
    """What each Python process imports, and what it costs."""
    print("Imports, of a process that is started anew")
    print(f"  {'process':<26} {'modules':>7} {'processor ms':>13}   the dearest packages")
    for name, module in PROGRAMS.items():
        times, modules = zip(*(_import_once(module) for _ in range(5)), strict=True)
        dearest = ", ".join(f"{package} {ms:.0f}" for package, ms in _dearest(module))
        print(f"  {name:<26} {modules[0]:>7} {statistics.median(times):>13.1f}   {dearest}")
    print()


def _import_once(module: str) -> tuple[float, int]:
    program = f"import sys, time, {module}; print(time.process_time() * 1000, len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    ms, modules = done.stdout.split()
    return float(ms), int(modules)


def _dearest(module: str) -> list[tuple[str, float]]:
    """The packages whose modules take longest, by `-X importtime`, which makes each somewhat slower."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"], check=True, capture_output=True, text=True
    )
    used: dict[str, float] = collections.defaultdict(float)
    for micros, name in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", done.stderr, re.MULTILINE):
        used[".".join(name.split(".")[:2]) if name.startswith("danube") else name.split(".")[0]] += int(micros) / 1000
    return sorted(used.items(), key=lambda item: -item[1])[:6]


def _print_syncs() -> None:
    """How often the server waits for the disk in one job."""
    with profiled_server(1) as (danube, _), tempfile.NamedTemporaryFile() as trace:
        calls = "fsync,fdatasync,syncfs,sync_file_range"
        command = ["strace", "-f", "-y", "-e", f"trace={calls}", "-o", trace.name, "-p", str(danube.process_id)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        tracer.stderr.readline()  # attached
        run_job(danube)
        tracer.send_signal(signal.SIGINT)
        tracer.stderr.read()
        tracer.wait()
        lines = Path(trace.name).read_text().splitlines()
    counted: dict[str, int] = collections.Counter()
    for line in lines:
        if match := re.search(r"(\w+)\(\d+<([^>]*)>", line):
            counted[f"{match[1]} {_shape(match[2], danube.data)}"] += 1
    print(f"Syncs of the server in a job of one step: {sum(counted.values())}")
    for what, count in sorted(counted.items(), key=lambda item: -item[1]):
        print(f"  {count:>3} {what}")


def _shape(path: str, data: Path) -> str:
    """The path below the data directory, without ids."""
    below = path.removeprefix(f"{data}/")
    return re.sub(r"[0-9a-zA-Z_-]{20,}|\b[0-9a-f]{8,}\b", "ID", below)


if __name__ == "__main__":
    sys.exit(main())
