"""Whose a line of a log is: where the lines of parallel steps alternate, each gets the name of its step before it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from danube_pkg.cli.output import one_line

PREFIX_LENGTH = 24
"""Characters of a name before its lines: the text has the rest of the terminal."""

Prefix = Callable[[int], str]
"""The prefix of a line by its number, from 0; "" for none."""


def step_prefixes(sections: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> Prefix:
    """sections: of `GET /api/v1/jobs/{job}/log/sections`; steps: of the job. A step that printed alone has none."""
    names = {step["sequence"]: one_line(step["name"]) for step in steps}
    mixed = _mixed([section["step"] for section in sections])
    width = min(PREFIX_LENGTH, max((len(names.get(step, "")) for step in mixed), default=0))
    starts = [(one["first"], one["step"]) for one in sections]
    at = 0

    def prefix(line: int) -> str:
        nonlocal at
        while at + 1 < len(starts) and starts[at + 1][0] <= line:
            at += 1
        step = starts[at][1] if starts and starts[at][0] <= line else 0
        return f"[{_short(names.get(step, f'step {step}'), width):<{width}}] " if step in mixed else ""

    return prefix


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"


def _mixed(steps: Sequence[int]) -> frozenset[int]:
    """The steps between whose lines another step printed, and these others."""
    found: set[int] = set()
    last: dict[int, int] = {}
    for number, step in enumerate(steps):
        if step and step in last:
            between = {one for one in steps[last[step] + 1 : number] if one}
            found |= {step, *between} if between else set()
        last[step] = number
    return frozenset(found)
