"""Cron expressions described in words, for the page and the command line. `core/schedules/cron.py` computes their
times."""

import calendar
import re
from collections.abc import Callable, Sequence

from danube_pkg.core.schedules.cron import NICKNAMES

MAX_TIMES = 6
"""Times of a day that are listed one by one; more are described as minutes and hours."""

_PART = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<every>\d+))?")
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def describe_cron(expression: str) -> str:
    """The description of a valid expression: "every day at 03:00", "every 15 minutes on Monday to Friday"."""
    fields = NICKNAMES.get(expression.strip().lower(), expression).lower().split()
    minute, hour, day, month, weekday = fields
    time = _time(minute, hour)
    when = _days(day, weekday)
    if not when and time.startswith("at "):
        time = f"every day {time}"
    months = f"in {_describe_field(month, _month)}" if month != "*" else ""
    return " ".join(filter(None, (time, when, months)))


def _days(day: str, weekday: str) -> str:
    """Where both are restricted, cron matches a day that fits either; but one that begins with `*` restricts the
    other: crontab(5)."""
    stepped = re.fullmatch(r"\*/(\d+)", day)
    of_month = f"on day {_describe_field(day, str)} of the month"
    if stepped is not None:
        of_month = f"every {stepped[1]} days from day 1 of the month"
    of_week = f"on {_describe_field(weekday, _day)}"
    if day == "*" or weekday == "*":
        return of_month if day != "*" else of_week if weekday != "*" else ""
    if day.startswith("*") or weekday.startswith("*"):
        return f"{of_month}, but only {of_week}"
    return f"{of_month} or {of_week}"


def _time(minute: str, hour: str) -> str:
    if hour == "*":
        if minute == "*":
            return "every minute"
        if re.fullmatch(r"\*/\d+", minute):
            return f"every {minute[2:]} minutes"
        return "every hour" if minute == "0" else f"every hour at minute {_describe_field(minute, str)}"
    minutes, hours = _numbers(minute), _numbers(hour)
    if minutes and hours and len(minutes) * len(hours) <= MAX_TIMES:
        return f"at {_joined([f'{one:02}:{other:02}' for one in hours for other in minutes])}"
    at = "every minute" if minute == "*" else f"minute {_describe_field(minute, str)}"
    if re.fullmatch(r"\*/\d+", hour):
        every = f"every {hour[2:]} hours"
        return every if minute == "0" else f"{every} at {at}"
    return f"{at} of hour {_describe_field(hour, str)}"


def _numbers(field: str) -> Sequence[int]:
    """The numbers of a field that is a list of numbers; empty for any other field."""
    return [int(part) for part in field.split(",")] if re.fullmatch(r"\d+(,\d+)*", field) else ()


def _describe_field(field: str, name: Callable[[str], str]) -> str:
    return _joined([_part(part, name) for part in field.split(",")])


def _part(text: str, name: Callable[[str], str]) -> str:
    match = _PART.fullmatch(text)
    if match is None:
        return text
    first, last, every = match["first"], match["last"], match["every"]
    step = f"every {every} from " if every else ""
    if first == "*":
        return f"every {every}" if every else "any"
    begin = name(first)
    if last is None:
        return f"{step}{begin}{' on' if every else ''}"
    return f"{step}{begin} to {name(last)}"


def _day(word: str) -> str:
    return _DAYS[int(word)] if word.isdecimal() else next(day for day in _DAYS if day.lower().startswith(word))


def _month(word: str) -> str:
    names = list(calendar.month_name)
    return names[int(word)] if word.isdecimal() else next(one for one in names[1:] if one.lower().startswith(word))


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
