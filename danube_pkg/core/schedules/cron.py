"""Cron expressions as defined by crontab(5), five fields or a nickname: validation, and the times that they match.

Times are Unix seconds; time zones are passed in. At daylight saving changes it behaves as Debian's cron: a fixed time
that the clock skips matches right after the change, one that the clock repeats matches once; `*` follows the elapsed
hours.
"""

import hashlib
import re
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

from danube_pkg.kit.records import Record

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_PART = re.compile(r"(?P<first>\*|[0-9]{1,2}|[a-z]{3})(-(?P<last>[0-9]{1,2}|[a-z]{3}))?(/(?P<every>[0-9]{1,2}))?")


def problem_with(expression: str) -> str:
    """What is wrong with an expression, in one sentence; "" for a valid one."""
    words = expression.lower().split()
    if expression.startswith("@"):
        known = ", ".join(sorted(NICKNAMES))
        return "" if words[0] in NICKNAMES and len(words) == 1 else f"{expression!r} is not one of {known}"
    if len(words) != len(_FIELDS):
        return f"a cron schedule has five fields, not {len(words)}: minute hour day-of-month month day-of-week"
    for word, (name, low, high) in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            match = _PART.fullmatch(part)
            if match is None:
                return f"{part!r} is not a valid {name}"
            ends = [_number(match[end], name) for end in ("first", "last") if match[end] not in (None, "*")]
            if any(end is None or not low <= end <= high for end in ends):
                return f"{part!r}: a {name} is a number from {low} to {high}"
            numbers = [end for end in ends if end is not None]
            if numbers != sorted(numbers):
                return f"{part!r} ends before it begins{_instead(match['first'], match['last'], name)}"
            if match["first"] == "*" and match["last"] is not None:
                return f"{part!r} is not a valid {name}"
            if match["every"] is not None and not 1 <= int(match["every"]) <= high:
                return f"{part!r}: a step is from 1 to {high}"
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return f"{expression!r} never matches: none of its months has such a day"
    return ""


def _instead(first: str, last: str, name: str) -> str:
    """How to write a range over the end of the week or of the year."""
    names = _NAMES.get(name, ())
    if first not in names or last not in names:
        return ""
    begin, end = names.index(first), names.index(last)
    return f"; write {','.join((*names[begin:], *names[: end + 1]))}"


def _number(word: str, name: str) -> int | None:
    if word.isdecimal():
        return int(word)
    names = _NAMES.get(name, ())
    return names.index(word) + (1 if name == "month" else 0) if word in names else None


LOOK_BACK_SECONDS = (3600, 86400, 32 * 86400, 367 * 86400, 8 * 366 * 86400)
"""How far back the latest time is searched, step by step, so that one search computes at most some thousand times. The
last is the longest time between two 29ths of February."""


class Schedule(Record):
    """A valid expression and its time zone. jitter_seconds: the longest delay between a time and the start of its
    job."""

    expression: str
    zone: tzinfo = UTC
    jitter_seconds: int = 0


def next_time(schedule: Schedule, after: float) -> float | None:
    """The first matching time later than `after`; None where there is none in fifty years."""
    expression = NICKNAMES.get(schedule.expression.strip().lower(), schedule.expression)
    for at in CronSim(expression, datetime.fromtimestamp(after, schedule.zone)):
        moment = at.timestamp()
        if moment > after:
            return moment
    return None


def matches_each_year(expression: str) -> bool:
    """Whether a valid expression matches a time of each year; not so for 29 February alone."""
    begin = datetime(2001, 1, 1, tzinfo=UTC).timestamp()
    found = next_time(Schedule(expression), begin - 1)
    return found is not None and found < begin + 365 * 86400


def latest_time(schedule: Schedule, after: float, until: float) -> float | None:
    """The last matching time later than `after` and not later than `until`; None where there is none.

    Of many missed times it is the only one whose interval has not passed: the next one is still to come.
    """
    for seconds in LOOK_BACK_SECONDS:
        newest, moment = None, next_time(schedule, max(after, until - seconds))
        while moment is not None and moment <= until:
            newest, moment = moment, next_time(schedule, moment)
        if newest is not None or until - seconds <= after:
            return newest
    return None


def jitter_of(schedule: Schedule, name: str) -> float:
    """The delay in seconds of a schedule with that name: always the same for one name, evenly spread over names."""
    digest = hashlib.sha256(f"{name}\0{schedule.expression}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") % (schedule.jitter_seconds + 1))
