"""Figures: the result of a measurement, how it is printed and stored."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from danube_pkg.kit.records import to_builtins


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. budget: the bound in the same unit, None where there is none; at_most: which
    side of it is good; note: what it was compared with in the same run."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether the budget holds; None where there is none."""
        if self.budget is None:
            return None
        return self.value <= self.budget if self.at_most else self.value >= self.budget


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_of(times: int, work: Callable[[], float]) -> float:
    """The median of so many measurements."""
    return statistics.median(work() for _ in range(times))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def print_figures(figures: Sequence[Figure]) -> None:
    """A table: name, value, budget, whether it holds, note."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        sign = {True: "ok  ", False: "OVER", None: "    "}[figure.kept]
        budget = f"{'≤' if figure.at_most else '≥'} {figure.budget:g}" if figure.budget is not None else ""
        print(
            f"{sign} {figure.name:<{width}} {figure.value:>10.3f} {figure.unit:<7} {budget:<9} {figure.note}",
            flush=True,
        )


def write_figures(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as JSON, with a description of the machine."""
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "at": time.time(), "figures": [to_builtins(figure) for figure in figures]}
    path.write_text(json.dumps(document, indent=1) + "\n")
