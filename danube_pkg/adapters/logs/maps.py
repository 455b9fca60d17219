"""The indexes of logs as columns, read once and continued where they have grown."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from danube_pkg.core.logs.index import RECORD_BYTES, records
from danube_pkg.core.logs.lines import LogMap

KEPT_MAPS = 16
"""A long log's is 2 MB; those that people look at just now are few."""

PIECE_BYTES = RECORD_BYTES * 8192
"""Read at once."""


class _Known:
    """A map, and how much of the index file it is made of."""

    def __init__(self) -> None:
        self.map = LogMap()
        self.read_bytes = 0
        self.end = 0


class LogMaps:
    """`path`: where a job's log is; its index lies beside it. Every thread may ask."""

    def __init__(self, path: Callable[[str], Path]) -> None:
        self._path = path
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, job_id: str) -> LogMap:
        """The map as far as the log is readable now; empty where there is no log."""
        with self._lock:
            log = self._path(job_id)
            index = log.with_suffix(".idx")
            try:
                log_bytes, index_bytes = log.stat().st_size, index.stat().st_size
            except FileNotFoundError:
                return LogMap()
            known = self._known.get(job_id)
            if known is None or index_bytes < known.read_bytes or log_bytes < known.end:
                known = self._known[job_id] = _Known()  # never seen, or cut after a crash
            self._known.move_to_end(job_id)
            while len(self._known) > KEPT_MAPS:
                self._known.popitem(last=False)
            if index_bytes > known.read_bytes:
                _continue(known, index, log_bytes)
            return known.map


def _continue(known: _Known, index: Path, log_bytes: int) -> None:
    with index.open("rb") as file:
        file.seek(known.read_bytes)
        while piece := file.read(PIECE_BYTES):
            whole = [record for record in records(piece, known.end) if record.end <= log_bytes]
            known.map.extend(whole)
            known.read_bytes += len(whole) * RECORD_BYTES
            if whole:
                known.end = whole[-1].end
            if len(whole) * RECORD_BYTES < len(piece):
                return  # torn, or behind what is readable: looked at again next time
