"""`logs/<job_id>.egress`: opened by the server, appended to by the proxy through that descriptor, read by the server.

Names are a program's own words, and a program may make a secret one. So the writer masks what it is told to before it writes.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from danube_pkg.core.egress.host_masks import NO_MASKS
from danube_pkg.core.egress.ledger import (
    MAX_DECISIONS,
    Contact,
    encode_decision,
    encode_end,
    masked,
    read_ledger,
)
from danube_pkg.core.errors import StorageFull

SETTLE_DECISIONS = 2000
"""Kept free below the bound for what is written aside: what was counted, and the names that were asked for by DNS."""

_DECISION = b'"verdict":'


class FileLedgers:
    """`core.egress.ports.EgressLedgers` below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)

    def path(self, job_id: str) -> Path:
        return self._directory / f"{job_id}.egress"

    def open(self, job_id: str) -> int:
        """A descriptor that appends and can read what is there; its owner closes it. A line that was cut is closed."""
        descriptor = os.open(self.path(job_id), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
        return descriptor

    def read(self, job_id: str) -> Sequence[Contact]:
        try:
            with self.path(job_id).open("rb") as lines:
                return read_ledger(lines)
        except FileNotFoundError:
            return ()


class LedgerWriter:
    """The proxy's side: whole lines, each in one write. masks: what no name in it may show, from now on."""

    def __init__(self, job_id: str, descriptor: int) -> None:
        self._job_id = job_id
        self._descriptor = descriptor
        self._decisions = sum(chunk.count(_DECISION) for chunk in _chunks(descriptor))
        self._torn = False
        self.masks = NO_MASKS

    def decided(self, contact: Contact, *, keep_free: int = SETTLE_DECISIONS) -> None:
        """Write a decision down. Raises StorageFull: at the ledger's bound, and where the disk has no room."""
        if self._decisions >= MAX_DECISIONS - keep_free:
            raise StorageFull("ledger-full", f"the egress ledger of job {self._job_id} has {MAX_DECISIONS} decisions")
        self._write(encode_decision(self._job_id, masked(contact, self.masks)))
        self._decisions += 1

    def ended(self, contact: Contact) -> None:
        """Write an end down; there is at most one for each decision, so the bound of those is enough. Raises StorageFull."""
        self._write(encode_end(self._job_id, contact))

    def _write(self, line: bytes) -> None:
        data = b"\n" + line if self._torn else line
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise StorageFull("ledger-not-written", "the egress ledger cannot be written", cause=str(error)) from error
        self._torn = written < len(data)
        if self._torn:
            raise StorageFull("ledger-not-written", "the egress ledger cannot be written whole")

    def close(self) -> None:
        os.close(self._descriptor)


def _chunks(descriptor: int) -> Iterator[bytes]:
    """Whole lines, as many as a megabyte holds."""
    offset = 0
    while chunk := os.pread(descriptor, 1 << 20, offset):
        whole = chunk.rpartition(b"\n")[0] or chunk
        yield whole
        offset += len(whole)
