"""Memory of pods that no control group limits: measured, and the pod that takes too much ends for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from danube_pkg.adapters.runtimes.sandbox import memory_guard
from danube_pkg.adapters.runtimes.sandbox.limits import PodLimits
from danube_pkg.adapters.runtimes.sandbox.memory_use import MemoryUse, excess
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded, Limits
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import Pods, next_event

MEGABYTE = 1 << 20

SHARES = """
import os, signal
held = bytearray(b"x" * (64 << 20))
found = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        signal.pause()
    found.append(child)
print(os.getpid(), *found, flush=True)
signal.pause()
"""
"""A process with 64 MB that its two children share."""

TAKES = "import time; held = bytearray(200 << 20); held[::4096] = b'x' * (len(held) // 4096); time.sleep(1000)"
"""Each page of 200 MB is written to."""


@pytest.fixture
def sharing() -> Iterator[list[int]]:
    parent = subprocess.Popen([sys.executable, "-c", SHARES], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    found = [int(word) for word in parent.stdout.readline().split()]
    assert len(found) == 3
    yield found
    for process in found:
        os.kill(process, signal.SIGKILL)
    parent.communicate()


def test_a_page_that_processes_share_counts_once(sharing: list[int]) -> None:
    use = MemoryUse({"one": sharing, "gone": [2**22 + 1], "none": []})
    assert use.resident_bytes()["one"] >= 3 * 64 * MEGABYTE
    assert 64 * MEGABYTE <= use.exact_bytes()["one"] < 2 * 64 * MEGABYTE
    assert (use.exact_bytes()["gone"], use.resident_bytes()["none"]) == (0, 0)


def test_a_process_that_may_not_be_read_counts_with_all_that_it_has(
    sharing: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, mode: str) -> object:
        if path.endswith("/smaps_rollup"):
            raise PermissionError(13, "Permission denied", path)
        return open(path, mode)

    monkeypatch.setattr("danube_pkg.adapters.runtimes.sandbox.memory_use.open", refuse, raising=False)
    use = MemoryUse({"one": sharing})
    assert use.exact_bytes() == use.resident_bytes()


@pytest.mark.parametrize(
    ("used", "together", "ended"),
    [
        ({"a": 100, "b": 100}, 200, {}),
        ({"a": 101, "b": 1}, 300, {"a": "its processes hold 101 MB of memory, the limit is 100 MB"}),
        ({"a": 101, "b": 102}, 150, {"a": "the limit is 100 MB", "b": "its processes hold 102 MB"}),
        (
            {"a": 70, "b": 90},
            150,
            {"b": "all pods together hold 160 MB of memory, the limit is 150 MB; this one holds"},
        ),
        ({}, 1, {}),
    ],
)
def test_a_pod_above_its_limit_ends_else_the_largest_of_all(
    used: Mapping[str, int], together: int, ended: Mapping[str, str]
) -> None:
    found = excess(
        {pod: size * MEGABYTE for pod, size in used.items()}, dict.fromkeys(used, 100 * MEGABYTE), together * MEGABYTE
    )
    assert found.keys() == ended.keys()
    for pod, cause in ended.items():
        assert cause in found[pod]


@pytest.mark.parametrize(
    ("own", "together", "cause"),
    [(1 << 20, 150, "all pods together hold"), (100, 1 << 20, "its processes hold ")],
    ids=["together", "own"],
)
async def test_a_pod_that_takes_too_much_ends_for_memory_and_others_continue(
    pods: Pods, monkeypatch: pytest.MonkeyPatch, own: int, together: int, cause: str
) -> None:
    monkeypatch.setattr(PodLimits, "limit_memory", False)
    monkeypatch.setattr(memory_guard, "effective_limits", lambda limits: replace(limits, memory_bytes=own * MEGABYTE))
    monkeypatch.setattr(pods.runtime._memory, "_together", together * MEGABYTE)
    (coordinator, worker), (_, other) = await pods.pod(limits=Limits()), await pods.pod(limits=Limits())
    async with pods.runtime.watch() as events:
        stream = await pods.runtime.exec(worker, ("/usr/bin/env", "python3", "-c", TAKES))
        for container in (coordinator, worker):
            event = await next_event(events, ContainerEnded)
            assert isinstance(event, ContainerEnded)
            assert (event.container, event.reason) == (container, Reason.OUT_OF_MEMORY)
            assert event.message.startswith(cause)
        await stream.close()
        assert await pods.shell(other, "echo runs") == (0, b"runs\n")
