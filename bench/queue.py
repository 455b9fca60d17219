"""Jobs that are queued at once, the memory of their server, and its first answer after `kill -9`."""

import tempfile
import time
from pathlib import Path

from bench.figures import Figure, seconds_of
from bench.start import HELLO, resident_mb
from tests.support.server import Installation
from tests.support.waiting import wait_until

JOBS = 50
SECONDS = 900
"""For all of them, on a machine with other work."""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        danube = Installation(Path(directory), interpreter=True)
        danube.pipeline("hello", HELLO)
        danube.serve()
        try:
            danube.end_of(danube.trigger("hello"))  # what a server reads once is read
            started = time.perf_counter()
            for _ in range(JOBS):
                danube.client.post("/api/v1/pipelines/hello/jobs", {})
            wait_until(
                lambda: all(job["status"] not in ("pending", "running") for job in danube.jobs()), SECONDS, "jobs"
            )
            rate = JOBS / (time.perf_counter() - started)
            if failed := [job["id"] for job in danube.jobs() if job["status"] != "success"]:
                raise RuntimeError(f"jobs failed: {failed}")
            memory = resident_mb(danube.process_id)
            danube.kill()
            again = seconds_of(danube.serve)
        finally:
            danube.close()
    return [
        Figure(f"{JOBS} queued jobs of one step", rate, "/s", 8, at_most=False),
        Figure(f"server: resident memory after {JOBS + 1} jobs", memory, "MB", 90),
        Figure("server: first answer after kill -9", again, "s", 0.25),
    ]
