"""Whether the clock can be trusted with removing files by age: a wrong one would remove everything at once.

The server writes a mark, the time by its clock, every few minutes. A clock that is behind the mark was set back. One
that is further ahead of it than the server ran and could have been switched off was set forward: then nothing is
removed until an operator confirms the time, or the clock is right again.
"""

from danube_pkg.kit.records import Record

BACK_SECONDS = 600.0
"""Ten minutes back: more than a time service corrects in one step on a machine that runs."""

RUNNING_SECONDS = 3600.0
"""An hour ahead of the time that the process has measured: a machine that was suspended meanwhile has more."""

STOPPED_DAYS = 7.0
"""Longer than a weekend with holidays. Clocks that are wrong are wrong by years: a dead battery, a restored
snapshot."""


class ClockMark(Record):
    """at: the last trusted time, in Unix seconds. running_seconds: how long this process has been running since it was
    written, by a clock that cannot be set; None for a mark of an earlier process."""

    at: float
    running_seconds: float | None


def clock_doubt(now: float, mark: ClockMark) -> str:
    """Why the clock is not trusted, as one sentence; "" where it is. now: Unix seconds."""
    if now < mark.at - BACK_SECONDS:
        return f"the clock is {_days(mark.at - now)} behind the last time that this server knew"
    allowed = STOPPED_DAYS * 86400 if mark.running_seconds is None else mark.running_seconds + RUNNING_SECONDS
    if now > mark.at + allowed:
        return f"the clock is {_days(now - mark.at)} ahead of the last time that this server knew"
    return ""


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"
