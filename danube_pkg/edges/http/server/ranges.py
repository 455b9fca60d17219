"""`Range: bytes=…` (RFC 9110 section 14). One range is served; for several, or another unit, the answer is the
whole."""

import re

from danube_pkg.core.errors import PlatformError

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Headers = tuple[tuple[str, str], ...]


class RangeUnsatisfiable(PlatformError):
    """The range begins at or behind the end."""

    status = 416


def requested_range(header: str | None, size: int) -> tuple[int, int, int, Headers]:
    """(status, begin, end, headers) of what to send of `size` bytes. Raises RangeUnsatisfiable."""
    accepts: Headers = (("accept-ranges", "bytes"),)
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return 200, 0, size, accepts
    first, last = match.groups()
    begin = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if begin >= size or begin >= end:
        raise RangeUnsatisfiable(
            "range-unsatisfiable",
            f"there are {size} bytes, the range begins at {begin}",
            hint="request a range that begins before the end, or leave Range out",
        )
    return 206, begin, end, (*accepts, ("content-range", f"bytes {begin}-{end - 1}/{size}"))
