"""What commands print: errors, tables, times. The same error object is a problem document in the API."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

from danube_pkg.core.errors import ConfigurationInvalid, PlatformError

STATUS_COLOURS = {"success": "32", "failure": "31", "timeout": "31", "cancelled": "33", "running": "36"}


def print_error(error: PlatformError, *, as_json: bool = False) -> None:
    """On standard error: what, why, and what mends it."""
    found = error.findings if isinstance(error, ConfigurationInvalid) else (error,)
    for one in found:
        if as_json:
            print(json.dumps({"reference": one.reference, "what": str(one), "hint": one.hint}), file=sys.stderr)
            continue
        print(f"danube: {one}", file=sys.stderr)
        if one.hint:
            print(f"  hint: {one.hint}", file=sys.stderr)


def print_json(value: object) -> None:
    """One document, for scripts."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the heads on a terminal only, so that a pipe gets data."""
    lines = [tuple(map(one_line, row)) for row in rows]
    shown = [tuple(heads), *lines] if sys.stdout.isatty() else lines
    widths = [max((len(line[at]) for line in shown), default=0) for at in range(len(heads))]
    for line in shown:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(painted(cell, STATUS_COLOURS.get(cell.strip(), "")) for cell in cells).rstrip())


def one_line(text: str) -> str:
    """Without line breaks and control characters: names come from whoever can push."""
    return "".join(character if character.isprintable() else " " for character in text)


def painted(text: str, colour: str, stream: TextIO | None = None) -> str:
    """In an ANSI colour where the stream is a terminal and NO_COLOR is not set (https://no-color.org)."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and wants_colour(stream or sys.stdout) else text


def wants_colour(stream: TextIO) -> bool:
    """On a terminal that can, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def ago(iso: str | None, now: datetime | None = None) -> str:
    """How long ago a time of the API was: `12 s`, `3 min`, `2 h`, `5 d`."""
    if iso is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(iso)).total_seconds()
    return duration(max(0.0, seconds))


def duration(seconds: float) -> str:
    """In the unit that a person would use."""
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
