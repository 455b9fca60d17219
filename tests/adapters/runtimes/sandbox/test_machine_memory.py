"""How memory is divided: something is left beside all pods, and a pod that names no limit has a share."""

import pytest

from danube_pkg.adapters.runtimes.sandbox.machine_memory import (
    effective_limits,
    machine_bytes,
    memory_of_all_pods,
    shared_memory_of,
)
from danube_pkg.core.runtimes.pods import Limits

GIB = 1024**3
MIB = 1024**2


@pytest.mark.parametrize(
    ("machine", "pods"),
    [(GIB, GIB // 2), (2 * GIB, 2 * GIB - 512 * MIB), (16 * GIB, 14 * GIB), (1024 * GIB, 896 * GIB)],
)
def test_all_pods_together_leave_an_eighth_and_at_least_half_a_gigabyte(machine: int, pods: int) -> None:
    assert memory_of_all_pods(machine) == pods


@pytest.mark.parametrize(
    ("machine", "memory", "processes"),
    [(GIB, GIB // 2, 512), (2 * GIB, GIB, 1024), (16 * GIB, 7 * GIB, 4096)],
)
def test_a_pod_without_limits_has_a_share_of_memory_and_as_many_processes(
    machine: int, memory: int, processes: int
) -> None:
    limits = effective_limits(Limits(), machine)
    assert (limits.memory_bytes, limits.processes) == (memory, processes)


@pytest.mark.parametrize(
    ("given", "processes"),
    [(Limits(512 * MIB), 512), (Limits(64 * MIB), 128), (Limits(512 * MIB, processes=60), 60), (Limits(8 * GIB), 4096)],
)
def test_a_pod_with_a_limit_of_memory_keeps_it_and_has_processes_in_proportion(given: Limits, processes: int) -> None:
    limits = effective_limits(given, 16 * GIB)
    assert (limits.memory_bytes, limits.processes) == (given.memory_bytes, processes)


@pytest.mark.parametrize(("memory", "size"), [(0, 7 * GIB // 4), (512 * MIB, 128 * MIB), (128 * MIB, 64 * MIB)])
def test_shared_memory_is_a_quarter_of_the_pods_memory(memory: int, size: int) -> None:
    assert shared_memory_of(Limits(memory), 16 * GIB) == size


def test_this_machine_has_memory_for_pods() -> None:
    assert 0 < memory_of_all_pods() < machine_bytes()
