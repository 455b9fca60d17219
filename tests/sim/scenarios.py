"""What a run is made of, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.supervisor import Bounds
from tests.sim.fate import Deaths
from tests.sim.plans import JobPlan

SMALL_RING = Bounds(ring_bytes=600, tail_bytes=200)
"""So small that simulated steps wait for acknowledgements and outputs are forgotten, as real ones with megabytes do."""

SECRETS: Mapping[str, bytes] = {
    "TOKEN": b"correct-horse-battery-staple",
    "KEY": b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7\n-----END KEY-----\n",
    "SHORT": b"horse",
}
"""Several lines, one value within another, and one that base64 and hex make unlike itself."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. `cancels`: pipeline → second at which somebody cancels its job; `murders`: seconds at which one living worker
    is killed from outside; `rotations`: seconds at which TOKEN gets another value; `downtime`: seconds at most until a dead
    server is followed by the next."""

    seed: int
    plans: Sequence[JobPlan] = ()
    deaths: Deaths = field(default_factory=Deaths)
    trouble: float = 0.0
    full: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    failing_commits: frozenset[int] = frozenset()
    failing_calls: frozenset[int] = frozenset()
    cancels: Mapping[str, float] = field(default_factory=dict)
    murders: Sequence[float] = ()
    rotations: Sequence[float] = ()
    viewers: int = 1
    downtime: float = 2.0
    bounds: Bounds = SMALL_RING
