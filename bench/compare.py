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

Figures = Mapping[str, Mapping[str, Any]]
"""Name of a figure → its fields, as in build/bench.json."""


def compare(revision: str, suites: Sequence[str]) -> int:
    """Measure every suite in pairs and print the ratios; 1 if a median is above the bound, else 0."""
    old = _check_out(revision)
    pairs: list[tuple[Figures, Figures]] = []
    for number in range(PAIRS):
        for suite in suites:
            print(f"pair {number + 1} of {PAIRS}: {suite}", flush=True)
            pairs.append(_pair(old, suite, old_first=number % 2 == 0))
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
    return {one["name"]: one for one in json.loads((tree / "build" / "bench.json").read_text())["figures"]}


def ratios_of(pairs: Sequence[tuple[Figures, Figures]]) -> dict[str, list[float]]:
    """Name of a figure → how many times as bad the new value is, in each pair that has both."""
    found: dict[str, list[float]] = {}
    for before, after in pairs:
        for name in before.keys() & after.keys():
            old, new = float(before[name]["value"]), float(after[name]["value"])
            if old > 0 and new > 0:
                found.setdefault(name, []).append(new / old if after[name]["at_most"] else old / new)
    return found


def _print_ratios(pairs: Sequence[tuple[Figures, Figures]]) -> int:
    ratios = ratios_of(pairs)
    names = list(dict.fromkeys(name for pair in pairs for figures in pair for name in figures))
    width = max(map(len, names))
    worse = 0
    print(f"\n      {'figure':<{width}} {'old':>10} {'new':>10} {'new/old':>8}   (above 1 is worse)")
    for name in names:
        if name not in ratios:
            print(f"      {name:<{width}} is measured by one of the two only")
            continue
        middle = statistics.median(ratios[name])
        worse += middle > BOUND
        old, new = (
            statistics.median(float(pair[at][name]["value"]) for pair in pairs if name in pair[at]) for at in (0, 1)
        )
        print(f"{'WORSE' if middle > BOUND else 'ok   '} {name:<{width}} {old:>10.3f} {new:>10.3f} {middle:>8.3f}")
    print(f"{worse} of {len(ratios)} figures are more than {BOUND:.2f} times as bad, by the median of {PAIRS} pairs")
    return 1 if worse else 0
