"""The indexes of logs as columns (`LogMap`): cached, and continued where an index has grown."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from danube_pkg.core.logs.index import RECORD_BYTES, records
from danube_pkg.core.logs.lines import LogMap

KEPT_MAPS = 16
"""Maps that are cached; one of a long log takes 2 MB, and few logs are open in browsers at a time."""

PIECE_BYTES = RECORD_BYTES * 8192
"""Bytes of an index that are read at once."""


class _Known:
    """A map, and how much of the index file it contains."""

    def __init__(self) -> None:
        self.map = LogMap()
        self.read_bytes = 0
        self.end = 0


class LogMaps:
    """The maps of logs. path: gives the path of a job's log, beside which its index is. May be called from several
    threads."""

    def __init__(self, path: Callable[[str], Path]) -> None:
        self._path = path
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, job_id: str) -> LogMap:
        """The map of a log's readable part; empty without a log."""
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
                return  # incomplete, or beyond the readable part: read again next time
