"""What commands print: results, tables, times, errors."""

import argparse
import difflib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TextIO, TypeVar

from danube_pkg.core.errors import PlatformError, Throttled
from danube_pkg.kit.terminal import json_text, visible

STATUS_COLOURS = {"success": "32", "failure": "31", "timeout": "31", "cancelled": "33", "running": "36"}

LEAST_WIDTH = 7
"""Characters to which a column of a table may be cut: those of a short commit hash."""

SHOWN_NAMES = 10
"""Known names in a note."""

Result = TypeVar("Result")


def say(text: str, *, lead: str = "", file: TextIO | None = None, end: str = "\n") -> None:
    """Print a text on standard output, or `file`. Names and messages in it may be of untrusted origin, so that control
    sequences are made visible: no other part of the command line calls `print`. lead: printed before it as it is: a
    coloured word of Danube's own."""
    print(lead + visible(text), file=file, end=end)


def show(result: Result, options: argparse.Namespace, print_text: Callable[[Result], None]) -> int:
    """Print the result, with --json as one JSON document, else by `print_text`. The answer is the exit code 0."""
    if options.json:
        print_json(result)
    else:
        print_text(result)
    return 0


def print_error(error: PlatformError, *, as_json: bool = False) -> None:
    """On standard error: what failed, why, and how to fix it; for each of its findings if it has some."""
    pause = error.retry_seconds if isinstance(error, Throttled) else None
    for one in error.findings or (error,):
        if as_json:
            found = {"reference": one.reference, "what": str(one), "place": str(one.place or ""), "hint": one.hint}
            print(json.dumps(found if pause is None else {**found, "retry_seconds": pause}), file=sys.stderr)
            continue
        print(f"danube: {visible(str(one))}", file=sys.stderr)
        if one.hint:
            print(f"  hint: {visible(one.hint)}", file=sys.stderr)
        if pause is not None:
            print(f"  try again in {duration(pause)}", file=sys.stderr)


def print_json(value: object) -> None:
    """One JSON document on one line, for scripts."""
    print(json_text(value))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell. The heads are for terminals; a pipe gets the rows only, and whole. On a
    terminal the widest columns but the first are cut until a row fits."""
    lines = [tuple(map(one_line, row)) for row in rows]
    shown = [tuple(heads), *lines] if sys.stdout.isatty() else lines
    widths = [max((len(line[at]) for line in shown), default=0) for at in range(len(heads))]
    if sys.stdout.isatty():
        widths = fitting(widths, shutil.get_terminal_size().columns)
    for line in shown:
        cells = [cut(cell, width).ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(painted(cell, STATUS_COLOURS.get(cell.strip(), "")) for cell in cells).rstrip())


def fitting(widths: Sequence[int], columns: int) -> list[int]:
    """The widths with which a row and the two blanks between its columns fit, or as near as the least ones allow."""
    found = list(widths)
    while sum(found) + 2 * (len(found) - 1) > columns:
        widest = max(range(1, len(found)), key=lambda at: found[at], default=0)
        if widest == 0 or found[widest] <= LEAST_WIDTH:
            break
        found[widest] -= 1
    return found


def cut(text: str, width: int) -> str:
    """At most that many characters; the last one is "…" where some are left out."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def note_unknown(what: str, name: str, known: Iterable[str]) -> None:
    """Say on standard error that nothing has the name that a list was limited to, and which one was meant: it may be
    right and have nothing yet, so that it is not refused. known: those that something has."""
    names = sorted({one for one in known if one})
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = (
            f"; did you mean {near[0]!r}?"
            if near
            else f"; known here: {', '.join(names[:SHOWN_NAMES])}"
            if names
            else ""
        )
        say(f"danube: nothing found of {what} {name!r}{hint}", file=sys.stderr)


def one_line(text: str) -> str:
    """Without line breaks, control characters and those that change the direction of text, since text from a
    repository could control the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def painted(text: str, colour: str, stream: TextIO | None = None) -> str:
    """In an ANSI colour, if the stream shows colours."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and wants_colour(stream or sys.stdout) else text


def wants_colour(stream: TextIO) -> bool:
    """Whether the stream is a terminal with colours, and NO_COLOR is not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def ago(iso: str | None, now: datetime | None = None) -> str:
    """The time since a time of the API: `12 s`, `3 min`, `2 h`, `5 d`."""
    if iso is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(iso)).total_seconds()
    return duration(max(0.0, seconds))


def duration(seconds: float) -> str:
    """In the largest unit of which there are two or more."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes in decimal units, as disks and registries count them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
