"""Whose a line of a log is: where the lines of parallel steps alternate, each gets the name of its step before it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

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


class LivePrefixes:
    """The same for a log that arrives: each line of a step that runs beside others gets the name of its step."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._owner: int | None = None
        self._at_start = True

    def learn(self, sequence: int, name: str) -> None:
        """The name of a step."""
        self._names[sequence] = _short(one_line(name), PREFIX_LENGTH)

    def text(self, text: str, step: int | None) -> str:
        """step: whose the text is; None while no others run, 0 for Danube's own lines. The rest of a line that another
        step interrupts begins a line of its own."""
        parts = []
        if text and step != self._owner and not self._at_start and None not in (step, self._owner):
            parts.append("\n")
            self._at_start = True
        prefix = f"[{self._names.get(step, f'step {step}')}] " if step else ""
        for line in _lines(text):
            parts.append(f"{prefix}{line}" if self._at_start else line)
            self._at_start = line.endswith("\n")
        self._owner = step if text else self._owner
        return "".join(parts)


def live_prefixes(stream: TextIO, wanted: bool | None, *, raw: bool) -> LivePrefixes | None:
    """None where another program reads the lines, which are as they were printed. wanted: None for the default."""
    if raw or wanted is False or not (wanted or stream.isatty()):
        return None
    return LivePrefixes()


def _lines(text: str) -> list[str]:
    """Each with its line feed; a carriage return alone ends no line."""
    *whole, rest = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([rest] if rest else [])]


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
