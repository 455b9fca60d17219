"""Durations and sizes as text: `60s`, `1h30m`, `10GiB`, `512Mi`.

A field whose rule has a unit accepts such a text beside a plain number of that unit. Sizes are binary in every
spelling, as in Docker's and systemd's options: `10G`, `10Gi`, `10GB` and `10GiB` are the same.
"""

import re
from collections.abc import Mapping
from fractions import Fraction

_SECONDS: Mapping[str, Fraction] = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
    "w": Fraction(7 * 86400),
}
_BYTES: Mapping[str, Fraction] = {
    prefix: Fraction(1024**power) for power, prefix in enumerate(["", "K", "M", "G", "T"])
}

DURATION = "[0-9]{1,9}(\\.[0-9]{1,6})?(ms|[smhdw])"
SIZE = "[0-9]{1,15}(\\.[0-9]{1,6})?[KMGT]?(i?B|i)?"
_DURATION = re.compile(f"({DURATION})+")
_DURATION_PART = re.compile(r"([0-9.]+)(ms|[smhdw])")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(i?B|i)?")

DURATION_UNITS: Mapping[str, Fraction] = {"seconds": Fraction(1), "days": Fraction(86400)}
SIZE_UNITS: Mapping[str, Fraction] = {"MiB": Fraction(1024**2), "GiB": Fraction(1024**3)}
"""The units of fields: how much one of them is in seconds or bytes."""


def in_unit(text: str, unit: str) -> Fraction | None:
    """The quantity as a number of `unit`, one of DURATION_UNITS or SIZE_UNITS; None for a text that is not one."""
    if unit in DURATION_UNITS:
        seconds = _seconds(text.replace(" ", ""))
        return None if seconds is None else seconds / DURATION_UNITS[unit]
    size = _bytes(text.strip())
    return None if size is None else size / SIZE_UNITS[unit]


def examples(unit: str) -> str:
    """How a quantity of that unit may be written, for messages and documents."""
    return "30s, 5m, 1h30m, 2d" if unit in DURATION_UNITS else "512MiB, 10GiB"


def pattern(unit: str) -> str:
    """The regular expression of the texts that are accepted, for JSON Schema."""
    return f"({DURATION})+" if unit in DURATION_UNITS else SIZE


def _seconds(text: str) -> Fraction | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum((Fraction(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text)), Fraction(0))


def _bytes(text: str) -> Fraction | None:
    match = _SIZE.fullmatch(text)
    # A bare number is a number of the field's unit, which is written without quotes.
    if match is None or not (match[2] or match[3] == "B") or not re.fullmatch(SIZE, text.replace(" ", "")):
        return None
    return Fraction(match[1]) * _BYTES[match[2]]
