"""How fast a step's output becomes a redacted log, and how soon its followers get it."""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, percentile
from tests.support.server import ROOT, Installation

MEGABYTES = 200
LINES = 200
VIEWERS = 200

PRINT = f"""
from danube import pipeline, step, secrets

@pipeline(name="print")
def build():
    secrets.get("TOKEN")
    step.run("python3 -c 'print(chr(10).join(str(n) * 9 for n in range(100_000)) + chr(10), end=str())' > some;"
             " for i in $(seq 1000); do cat some; done | head -c {MEGABYTES * 10**6} > lines; cat lines > /dev/null; sleep 4")
    step.run("cat lines", name="cat")
"""
TICK = f"""
from danube import pipeline, step

@pipeline(name="tick")
def build():
    step.run("sleep 4; for i in $(seq {LINES}); do date +tick-%s.%N; sleep 0.02; done", name="tick")
"""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        danube = Installation(Path(directory))
        danube.pipeline("print", PRINT, log_limit_mb=1000)
        danube.pipeline("tick", TICK)
        danube.serve()
        try:
            danube.command("secrets", "set", "TOKEN", stdin="a-secret-that-is-never-printed")
            found = [_throughput(danube, viewers, budget) for viewers, budget in ((0, 250), (3, 150), (VIEWERS, None))]
            return [*found, *_latency(danube)]
        finally:
            danube.close()


def _throughput(danube: Installation, viewers: int, budget: float | None) -> Figure:
    """Bytes of the step by the wall time in its record: a step ends when its last byte was taken."""
    job = danube.trigger("print")
    watching = _start_viewers(danube, job, viewers)
    end = danube.end_of(job, 60)
    if end["status"] != "success":
        raise RuntimeError(end["message"])
    for process in watching:
        process.wait(300)
    step = next(step for step in danube.job(job)["steps"] if step["name"] == "cat")
    return Figure(
        f"log throughput, {viewers} viewers", MEGABYTES / step["duration_seconds"], "MB/s", budget, at_most=False
    )


def _latency(danube: Installation) -> list[Figure]:
    job = danube.trigger("tick")
    watching = _start_viewers(danube, job, VIEWERS)
    delays: list[float] = []
    for process in watching:
        output, _ = process.communicate(timeout=120)
        delays += json.loads(output)
    danube.end_of(job)
    note = f"median {statistics.median(delays) * 1000:.1f} ms over {len(delays)} lines"
    return [Figure(f"line to {VIEWERS} viewers, 99th percentile", percentile(delays, 99) * 1000, "ms", 50, note=note)]


def _start_viewers(danube: Installation, job: str, count: int) -> list[subprocess.Popen[str]]:
    """One process with as many connections; it prints the delays of `tick-` lines as JSON."""
    if not count:
        return []
    words = [sys.executable, "-m", "bench.logs", str(danube.data), job, str(count)]
    return [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)]


def watch(data: str, job: str, count: int) -> None:
    """The process of the followers: one asyncio client each, reading events as a browser does."""
    delays: list[float] = []

    async def view() -> None:
        reader, writer = await asyncio.open_unix_connection(str(Path(data) / "danube.sock"), limit=2**24)
        writer.write(f"GET /api/v1/jobs/{job}/events HTTP/1.1\r\nhost: danube\r\n\r\n".encode())
        async for line in reader:
            now = time.time()
            if line.startswith(b"event: end"):
                break
            if line.startswith(b"data: ") and b"tick-" in line:
                delays.extend(now - float(word[:20]) for word in line.decode().split("tick-")[1:])
        writer.close()

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(view(), name=f"viewer {number}")

    asyncio.run(all_of_them())
    print(json.dumps(delays))


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2], int(sys.argv[3]))
