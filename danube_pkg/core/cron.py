"""Cron expressions as crontab(5) has them, five fields or one of its nicknames: what is wrong with one."""

import re

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
    """A sentence that says what is wrong, or an empty text."""
    words = expression.lower().split()
    if expression.startswith("@"):
        known = ", ".join(sorted(NICKNAMES))
        return "" if words[0] in NICKNAMES and len(words) == 1 else f"{expression!r} is none of {known}"
    if len(words) != len(_FIELDS):
        return f"a cron schedule has five fields, not {len(words)}: minute hour day-of-month month day-of-week"
    for word, (name, low, high) in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            match = _PART.fullmatch(part)
            if match is None:
                return f"{part!r} is no {name}"
            ends = [_number(match[end], name) for end in ("first", "last") if match[end] not in (None, "*")]
            if any(end is None or not low <= end <= high for end in ends):
                return f"{part!r}: a {name} is from {low} to {high}"
            numbers = [end for end in ends if end is not None]
            if numbers != sorted(numbers):
                return f"{part!r} ends before it begins"
            if match["first"] == "*" and match["last"] is not None:
                return f"{part!r} is no {name}"
            if match["every"] is not None and not 1 <= int(match["every"]) <= high:
                return f"{part!r}: a step is from 1 to {high}"
    return ""


def _number(word: str, name: str) -> int | None:
    if word.isdecimal():
        return int(word)
    names = _NAMES.get(name, ())
    return names.index(word) + (1 if name == "month" else 0) if word in names else None
