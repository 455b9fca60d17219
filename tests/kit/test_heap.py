"""Memory that the C library holds: each test in a process of its own, whose heap is not that of the tests."""

import asyncio
import subprocess
import sys
import threading

import pytest

from danube_pkg.kit import heap
from danube_pkg.kit.tasks import end_all
from tests.support.danube_process import ROOT
from tests.support.waiting import wait_until_async

ARENAS = """
import sys
from danube_pkg.kit.heap import limit_arenas
from tests.support.arenas import arenas_of_threads
if sys.argv[1] == "limited":
    assert limit_arenas()
print(arenas_of_threads())
"""

RELEASE = """
import os
from danube_pkg.kit.heap import release_free
from danube_pkg.kit.process_figures import memory_mb

blocks = [bytes(4000) for _ in range(20_000)]
kept = blocks[::100]  # in the middle, and the last one: the heap cannot shrink from its end
last = blocks[-1]
del blocks
before = memory_mb(os.getpid())
assert release_free()
print(before - memory_mb(os.getpid()))
"""


def run(program: str, *words: str) -> float:
    return float(
        subprocess.run(
            [sys.executable, "-c", program, *words],
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
    )


@pytest.mark.parametrize(("how", "fewest", "most"), [("limited", 1, heap.MAX_ARENAS), ("unlimited", 5, 64)])
def test_threads_share_a_bounded_number_of_arenas(how: str, fewest: int, most: int) -> None:
    assert fewest <= run(ARENAS, how) <= most


def test_free_memory_between_used_blocks_is_given_back() -> None:
    assert run(RELEASE) > 40


async def test_it_is_given_back_regularly_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    released = list[int]()
    monkeypatch.setattr(heap, "RELEASE_SECONDS", 0.001)
    monkeypatch.setattr(heap, "release_free", lambda: released.append(threading.get_ident()))
    task = asyncio.create_task(heap.release_regularly(), name="release")
    await wait_until_async(lambda: len(released) >= 2, 10, "two releases")
    await end_all(task)
    assert threading.get_ident() not in released
