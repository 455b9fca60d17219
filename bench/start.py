"""Start of the command and of the server, memory at idle, and the time from a trigger to the first log line."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, median_of, seconds_of
from tests.support.server import Installation

HELLO = """
from danube import pipeline, step

@pipeline(name="hello")
def build():
    step.run("echo the-first-line")
"""
COMMAND = [sys.executable, "-c", "from danube_pkg.cli.main import script; script()"]
"""What the installed command `danube` runs."""

TIMES = 9
DIST = Path(__file__).resolve().parents[1] / "dist"
SETTLE_SECONDS = 2.0


def measure() -> list[Figure]:
    """The figures of this suite."""
    words = [*COMMAND, "--version"]
    version = median_of(TIMES, lambda: seconds_of(lambda: subprocess.run(words, check=True, capture_output=True)))
    bare = median_of(TIMES, lambda: seconds_of(lambda: subprocess.run([sys.executable, "-c", ""], check=True)))
    found = [
        Figure("danube --version", version, "s", max(0.05, 2 * bare), note=f"python -c '': {bare:.3f} s"),
        *_of_files(bare),
    ]
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        danube = Installation(Path(directory), interpreter=True)
        danube.pipeline("hello", HELLO)
        found.append(Figure("server: start to first answer", seconds_of(danube.serve), "s"))
        try:
            time.sleep(SETTLE_SECONDS)
            found.append(Figure("server: resident memory at idle", resident_mb(danube.process_id), "MB", 70))
            times = [_trigger_to_first_line(danube) for _ in range(TIMES)]
            found.append(
                Figure(
                    "trigger to first log line", statistics.median(times), "s", 0.25, note=f"longest {max(times):.3f} s"
                )
            )
        finally:
            danube.close()
    return found


def _of_files(bare: float) -> list[Figure]:
    """Sizes and starts of what `make build` has made; nothing of what it has not."""
    found = []
    for path in sorted(DIST.glob("danube-linux-*")) + sorted(DIST.glob("danube-cp*.pyz")):
        if "." in path.name.removesuffix(".pyz"):
            continue  # a signature or a list of contents
        name = "zipapp" if path.suffix == ".pyz" else "binary"
        command = [*([sys.executable] if path.suffix == ".pyz" else []), str(path)]
        with tempfile.TemporaryDirectory(prefix="danube-bench-") as cache:

            def start(command: list[str] = command, cache: str = cache) -> float:
                environment = {**os.environ, "XDG_CACHE_HOME": cache}
                words = [*command, "--version"]
                return seconds_of(lambda: subprocess.run(words, env=environment, check=True, capture_output=True))

            first = start()
            later = median_of(TIMES, start)
        found += [
            Figure(f"{name}: size", path.stat().st_size / 1e6, "MB"),
            Figure(f"{name}: first start", first, "s"),
            Figure(f"{name}: later start", later, "s", 0.12, note=f"python -c '': {bare:.3f} s"),
        ]
    return found


def _trigger_to_first_line(danube: Installation) -> float:
    """Seconds from the request until a follower has the first byte that a step printed."""
    started = time.perf_counter()
    job = danube.client.post("/api/v1/pipelines/hello/jobs", {})
    for event in danube.client.follow(f"/api/v1/jobs/{job['id']}/events"):
        if event.name == "log" and "the-first-line" in event.data["text"]:
            took = time.perf_counter() - started
            danube.end_of(job["id"])
            return took
    raise RuntimeError(f"job {job['id']} ended without its line: {danube.job(job['id'])}")


def resident_mb(process_id: int) -> float:
    """VmRSS of proc(5)."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {process_id} has no VmRSS")
