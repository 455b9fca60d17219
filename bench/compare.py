"""Two revisions measured by turns in one run: `make bench AGAINST=REVISION`.

Machines drift by more than a change may cost, so old and new run one directly after the other, in pairs, and what
counts is the median of the ratios of the pairs. The old revision gets a work tree and an environment of its own below
build/against.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 10
BOUND = 1.10
"""A figure may become this much worse; more fails the comparison."""

SET_UP = (".venv/.dev", "build/bin/.made", "build/.web")
"""The targets of make that a measurement needs."""

Figures = Sequence[Mapping[str, Any]]
"""The figures of a suite with their fields, as in build/bench.json."""


def compare(revision: str, suites: Sequence[str]) -> int:
    """Measure every suite in pairs and print the ratios; 1 if a median is above the bound, else 0."""
    old = _check_out(revision)
    pairs: list[tuple[Figures, Figures]] = []
    for number in range(PAIRS):
        for suite in suites:
            print(f"pair {number + 1} of {PAIRS}: {suite}", flush=True)
            pairs.append(_pair(old, suite, old_first=number % 2 == 0))
            print_pair(*pairs[-1])
    return _print_ratios(pairs)


def _check_out(revision: str) -> Path:
    """A work tree of the revision with everything that its measurements need, made once."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    tree = ROOT / "build" / "against" / commit[:12]
    if not tree.exists():
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
    print(f"Setting up {revision} ({commit[:12]}) in {tree.relative_to(ROOT)}", flush=True)
    subprocess.run(["make", *SET_UP], cwd=tree, env=_environment(), check=True)
    return tree


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def _environment() -> dict[str, str]:
    """Without what would lead one revision to the files of the other."""
    foreign = ("MAKEFLAGS", "MAKELEVEL", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _pair(old: Path, suite: str, *, old_first: bool) -> tuple[Figures, Figures]:
    """The figures of a suite in both revisions, measured in that order."""
    if old_first:
        before = _measure(old, old / ".venv" / "bin" / "python", suite)
        return before, _measure(ROOT, Path(sys.executable), suite)
    after = _measure(ROOT, Path(sys.executable), suite)
    return _measure(old, old / ".venv" / "bin" / "python", suite), after


def _measure(tree: Path, python: Path, suite: str) -> Figures:
    done = subprocess.run(
        [python, "-m", "bench", suite], cwd=tree, env=_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"bench {suite} in {tree} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    figures: Figures = json.loads((tree / "build" / "bench.json").read_text())["figures"]
    return figures


def matched(before: Figures, after: Figures) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Old and new value of each figure: by position where both have as many in the same units, since names may have
    changed, else by name."""
    if [one["unit"] for one in before] == [one["unit"] for one in after]:
        return list(zip(before, after, strict=True))
    old = {one["name"]: one for one in before}
    return [(old[one["name"]], one) for one in after if one["name"] in old]


def ratio_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> float | None:
    """How many times as bad the new value is; None where one of them is 0."""
    before, after = float(old["value"]), float(new["value"])
    if before <= 0 or after <= 0:
        return None
    return after / before if new["at_most"] else before / after


def print_pair(before: Figures, after: Figures) -> None:
    """One line, so that a comparison of an hour that is interrupted leaves what it measured."""
    ratios = ((new["name"], ratio_of(old, new)) for old, new in matched(before, after))
    print("  new/old: " + "; ".join(f"{name} {ratio:.3f}" for name, ratio in ratios if ratio is not None), flush=True)


def _print_ratios(pairs: Sequence[tuple[Figures, Figures]]) -> int:
    values: dict[str, list[tuple[float, float, float]]] = {}
    for before, after in pairs:
        for old, new in matched(before, after):
            if (ratio := ratio_of(old, new)) is not None:
                values.setdefault(new["name"], []).append((old["value"], new["value"], ratio))
    width = max((len(name) for name in values), default=0)
    worse = 0
    print(f"\n      {'figure':<{width}} {'old':>10} {'new':>10} {'new/old':>8}   (above 1 is worse)")
    for name, found in values.items():
        old_value, new_value, ratio = (statistics.median(one[at] for one in found) for at in range(3))
        worse += ratio > BOUND
        print(
            f"{'WORSE' if ratio > BOUND else 'ok   '} {name:<{width}} {old_value:>10.3f} {new_value:>10.3f} {ratio:>8.3f}"
        )
    names = {one["name"] for pair in pairs for figures in pair for one in figures}
    print(f"without a counterpart: {', '.join(sorted(names - values.keys())) or 'none'}")
    print(f"{worse} of {len(values)} figures are more than {BOUND:.2f} times as bad, by the median of {PAIRS} pairs")
    return 1 if worse else 0
