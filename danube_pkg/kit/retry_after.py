"""The Retry-After header (RFC 9110 section 10.2.3). Pure, so that the core can use it."""

from email.utils import parsedate_to_datetime

_DIGITS = 9
"""More digits than this are not a delay that a server means: 10^9 s are 31 years."""


def retry_after_seconds(header: str, now: float, *, max_seconds: float) -> float | None:
    """The delay that a server requests, in seconds and at most `max_seconds`; None if the header has no readable value.

    The value is a number of seconds or an HTTP date. now: Unix seconds.
    """
    if header.isascii() and header.isdigit() and len(header) <= _DIGITS:  # isdigit() alone accepts "²"
        return min(float(header), max_seconds)
    try:
        return min(max(0.0, parsedate_to_datetime(header).timestamp() - now), max_seconds)
    except (ValueError, OverflowError):
        return None
