"""What a step costs over a bare exec in the same runtime."""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, percentile
from tests.adapters.runtimes.sandbox.pods import open_pods
from tests.support.server import Installation

STEPS = 200
EXECS = 200

MANY = f"""
import json, time
from danube import pipeline, step

@pipeline(name="many")
def build():
    times = []
    for number in range({STEPS}):
        started = time.perf_counter()
        step.run("true", name="true")
        times.append(time.perf_counter() - started)
    print("times", json.dumps(times))
"""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        bare = asyncio.run(_bare_execs(Path(directory) / "bare"))
        steps = _steps(Path(directory) / "danube")
    over = (statistics.median(steps) - statistics.median(bare)) * 1000
    note = f"exec {statistics.median(bare) * 1000:.2f} ms, step {statistics.median(steps) * 1000:.2f} ms, 99th {percentile(steps, 99) * 1000:.1f} ms"
    return [Figure("step over a bare exec", over, "ms", 10, note=note)]


async def _bare_execs(directory: Path) -> list[float]:
    async with open_pods(directory) as pods:
        _, worker = await pods.pod()
        times = []
        for _ in range(EXECS):
            started = time.perf_counter()
            await pods.shell(worker, "true")
            times.append(time.perf_counter() - started)
        return times


def _steps(directory: Path) -> list[float]:
    directory.mkdir()
    danube = Installation(directory)
    danube.pipeline("many", MANY)
    danube.serve()
    try:
        job = danube.trigger("many")
        end = danube.end_of(job, 120)
        if end["status"] != "success":
            raise RuntimeError(end["message"])
        line = next(line for line in danube.log(job).splitlines() if line.startswith("times "))
        times: list[float] = json.loads(line.removeprefix("times "))
        return times
    finally:
        danube.close()
