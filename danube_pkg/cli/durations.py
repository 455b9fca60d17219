"""Durations on the command line: a number of the option's unit, or text as in the configuration (`90s`, `1h30m`)."""

import argparse

from danube_pkg.core.documents.quantities import examples, in_unit


def seconds(text: str) -> int:
    """A whole number of seconds. Raises ArgumentTypeError, which argparse reports with the option's name."""
    return _whole(text, "seconds")


def days(text: str) -> int:
    """A whole number of days. Raises as `seconds`."""
    return _whole(text, "days")


def _whole(text: str, unit: str) -> int:
    if text.lstrip("-").isdecimal():
        return int(text)
    amount = in_unit(text, unit)
    if amount is None or amount.denominator != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {unit}, nor text as {examples(unit)}")
    return int(amount)
