"""Times as text: ISO 8601 in UTC with milliseconds (`2026-11-29T20:57:44.120+00:00`), as the API and `--json` show
them."""

from datetime import UTC, datetime
from typing import NewType

Time = NewType("Time", str)
"""ISO 8601 in UTC with milliseconds. A type of its own, so that a schema can say `date-time`."""


def iso(seconds: float) -> Time:
    """Unix seconds as `Time`."""
    return Time(datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds"))


def iso_or_none(seconds: float | None) -> Time | None:
    """Unix seconds as `Time`; None stays None."""
    return None if seconds is None else iso(seconds)
