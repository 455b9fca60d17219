"""Appends to the two files of a log: both get what belongs together, or neither."""

import os
from contextlib import suppress


def append_both(log: int, begin: int, data: bytes, index: int, index_begin: int, record: bytes) -> None:
    """Write data at `begin` of the log, and its record at `index_begin` of the index. Raises OSError."""
    try:
        write_all(log, data, begin)
        write_all(index, record, index_begin)
    except OSError:
        # A broken disk refuses this too; without a record the bytes are not read, and the next try overwrites them.
        with suppress(OSError):
            os.ftruncate(log, begin)
            os.ftruncate(index, index_begin)
        raise


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it at that offset, in as many calls as it takes. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]
