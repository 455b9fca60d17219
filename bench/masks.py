"""What the masks of secrets cost: time and memory to compile them, and how fast output passes them.

Each set is compiled in a process of its own, several times.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.figures import Figure
from danube_pkg.core.logs.redaction import Patterns, ValueSet
from danube_pkg.core.logs.token_formats import OWN_LINES, TOKEN_FORMATS
from tests.support.danube_process import ROOT

LARGEST_BYTES = 64 * 1024
OUTPUT = ("\n".join(str(number) * 9 for number in range(100_000)) + "\n").encode()
CHUNK_BYTES = 256 * 1024
TIMES = 7
COPIES = 10
"""Sets that are held at once, so that memory which an earlier one has freed does not hide what one needs."""


def _random(count: int, size: int) -> list[bytes]:
    return [os.urandom(size).hex().encode()[:size] for _ in range(count)]


CASES: Mapping[str, Callable[[], list[bytes]]] = {
    "1 secret of 64 bytes": lambda: _random(1, 64),
    "50 secrets of 64 bytes": lambda: _random(50, 64),
    "500 secrets of 64 bytes": lambda: _random(500, 64),
    "1 secret of 64 KiB": lambda: _random(1, LARGEST_BYTES),
    "1 secret of 64 KiB, one letter": lambda: [b"a" * LARGEST_BYTES],
    "1 secret of 64 KiB, 1000 lines": lambda: [b"\n".join(_random(1000, 64))],
}
BUDGETS = {name: ((20.0, 5.0) if name.startswith("1 ") else (None, None)) for name in CASES}
"""Milliseconds and MB for any one value."""


def measure() -> list[Figure]:
    """The figures of this suite."""
    found: list[Figure] = []
    for name in CASES:
        words = [sys.executable, "-m", "bench.masks", name]
        done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        seconds, resident = json.loads(done.stdout)
        most_ms, most_mb = BUDGETS[name]
        found.append(Figure(f"compile {name}", seconds * 1000, "ms", most_ms))
        found.append(Figure(f"memory of {name}", resident / 1e6, "MB", most_mb))
    return [*found, *(_throughput(name) for name in list(CASES)[:3])]


def _throughput(name: str) -> Figure:
    """Output through the masks of a job: a set of values, its token, known formats."""
    formats = ValueSet(_random(1, 64), (*OWN_LINES, *TOKEN_FORMATS))
    patterns = Patterns(sets=[formats, ValueSet(CASES[name]())])
    chunks = [OUTPUT[at : at + CHUNK_BYTES] for at in range(0, len(OUTPUT), CHUNK_BYTES)]
    seconds = min(_processor_seconds(lambda: [patterns.mask(chunk) for chunk in chunks]) for _ in range(TIMES))
    return Figure(f"output through {name}", len(OUTPUT) / seconds / 1e6, "MB/s", at_most=False)


def compile_once(name: str) -> tuple[float, float]:
    """(seconds of processor time, bytes of resident memory) of one set, the least and the mean of some."""
    values = CASES[name]()
    ValueSet([b"the first one loads what all need"])
    kept: list[ValueSet] = []
    seconds: list[float] = []
    before = _resident_bytes()
    for _ in range(COPIES):
        seconds.append(_processor_seconds(lambda: kept.append(ValueSet(values))))
    return min(seconds), max(0, _resident_bytes() - before) / COPIES


def _processor_seconds(work: Callable[[], object]) -> float:
    """Other processes of the machine do not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(compile_once(sys.argv[1])))
