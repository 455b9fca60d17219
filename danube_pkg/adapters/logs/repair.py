"""The log of an ended job whose files were damaged from outside: what is left of it becomes readable again.

`repair` is for ended jobs only: a log that is still written has bytes without a record for a moment, and its writer
cuts them off. `restore` is for the writer, whose open files outlive their names.
"""

import logging
import os
from pathlib import Path

from danube_pkg.core.errors import NotFound
from danube_pkg.core.logs.index import RECORD_BYTES, IndexRecord, RecordKind, record_in, records, usable
from danube_pkg.kit.files import write_atomically

COPY_BYTES = 16 * 1024**2

_log = logging.getLogger("danube.logs")


def repair(log: Path, time: float) -> None:
    """Make the index of a log agree with it, and write into the log what was lost. time: Unix seconds, for new records.

    Raises NotFound `log-lost` where nothing is left.
    """
    size = log.stat().st_size if log.exists() else 0
    if not size:
        raise NotFound(
            "log-lost",
            f"the log {log.name} is lost: its file is gone, or empty",
            cause="it was removed or cut by another program than Danube",
            hint=f"restore it and its .idx from a backup of {log.parent}",
        )
    index = log.with_suffix(".idx")
    known = index.read_bytes() if index.exists() else b""
    last = record_in(known, len(known) - RECORD_BYTES) if len(known) >= RECORD_BYTES else None
    if last is not None and last.end == size and len(known) % RECORD_BYTES == 0:
        return
    kept = usable(known, size)
    end = kept[-1].end if kept else 0
    written = max((record.end for record in records(known)), default=0)
    text = f"log-lost: the last {written - end} bytes of this log are gone" if written > size else ""
    text = text or f"log-lost: which step printed bytes {end} to {size} of this log is not known any more"
    line = f"\n--- {text}\n".encode()
    time_us = int(time * 1e6)
    made = [record.encode() for record in kept]
    if size > end:
        made.append(IndexRecord(time_us, end, size, 0, 0, 0, 0, RecordKind.NOTE).encode())
    made.append(IndexRecord(time_us, size, size + len(line), 0, 0, 0, 0, RecordKind.NOTE).encode())
    descriptor = os.open(log, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, line, size)
    finally:
        os.close(descriptor)
    write_atomically(index, b"".join(made), mode=0o640)
    _log.error("log-repaired", extra={"fields": {"log": log.name, "cause": text}})


def restore(descriptor: int, path: Path) -> None:
    """Write an open file to its path again where another program has removed it there."""
    if os.fstat(descriptor).st_nlink:
        return
    size = os.fstat(descriptor).st_size
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    temporary = path.with_name(f"{path.name}.restored")
    target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        at = 0
        while at < size:
            at += os.sendfile(target, descriptor, at, min(size - at, COPY_BYTES))
        os.fsync(target)
    finally:
        os.close(target)
    temporary.replace(path)
    _log.error("log-restored", extra={"fields": {"file": path.name, "cause": "it was removed while its job ran"}})


def open_both(path: Path) -> tuple[int, int]:
    """The log and its index, created if need be; neither stays open if one of them cannot be."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    log = os.open(path, flags, 0o640)
    try:
        return log, os.open(path.with_suffix(".idx"), flags, 0o640)
    except OSError:
        os.close(log)
        raise
