"""Scenarios: the jobs and faults of a run, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.supervisor import Bounds
from tests.sim.faults import CrashPlan
from tests.sim.job_plans import JobPlan

SMALL_RING = Bounds(ring_bytes=600, tail_bytes=200)
"""Small enough for simulated steps to wait for acknowledgements and for outputs to be dropped, as with megabytes."""

SECRETS: Mapping[str, bytes] = {
    "TOKEN": b"correct-horse-battery-staple",
    "KEY": b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7\n-----END KEY-----\n",
    "SHORT": b"horse",
}
"""A value of several lines, and one within another."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. `cancels`: pipeline → second at which its job is cancelled. `container_kills`: seconds at which one
    running worker is killed from outside. `rotations`: seconds at which TOKEN gets another value. `downtime_seconds`:
    at most this long after a crash the next server starts."""

    seed: int
    plans: Sequence[JobPlan] = ()
    crashes: CrashPlan = field(default_factory=CrashPlan)
    fault_rate: float = 0.0
    full: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    failing_commits: frozenset[int] = frozenset()
    failing_calls: frozenset[int] = frozenset()
    cancels: Mapping[str, float] = field(default_factory=dict)
    container_kills: Sequence[float] = ()
    rotations: Sequence[float] = ()
    viewers: int = 1
    downtime_seconds: float = 2.0
    bounds: Bounds = SMALL_RING
