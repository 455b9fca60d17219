"""Egress ledgers, `logs/<job_id>.egress`: opened and read by the server, written by the proxy through that descriptor.

Host names come from programs, which may put a secret into one, so the writer masks them before it writes.
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
from danube_pkg.kit.digests import Digest, digest_of_file, whole_lines
from danube_pkg.kit.files import sync_files

SETTLE_DECISIONS = 2000
"""Lines reserved below the limit for repeated attempts that were only counted, and for names in DNS queries."""

_DECISION = b'"verdict":'


class FileLedgers:
    """`core.egress.ports.EgressLedgers` below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)

    def path(self, job_id: str) -> Path:
        return self._directory / f"{job_id}.egress"

    def open(self, job_id: str) -> int:
        """A descriptor for reading and appending, which the caller closes. A truncated last line is terminated."""
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

    def digest(self, job_id: str) -> Digest:
        path = self.path(job_id)
        size = whole_lines(path)
        sync_files(path)
        return digest_of_file(path, size)

    def read_raw(self, job_id: str, begin: int, end: int) -> bytes:
        try:
            with self.path(job_id).open("rb") as file:
                file.seek(begin)
                return file.read(end - begin)
        except FileNotFoundError:
            return b""

    def append(self, job_id: str, contact: Contact) -> None:
        descriptor = self.open(job_id)
        try:
            writer = LedgerWriter(job_id, descriptor)
            writer.record_decision(contact, keep_free=0)
        finally:
            os.close(descriptor)


class LedgerWriter:
    """The proxy's side: appends whole lines, each in one write. masks: applied to names from then on."""

    def __init__(self, job_id: str, descriptor: int) -> None:
        self._job_id = job_id
        self._descriptor = descriptor
        self._decisions = sum(chunk.count(_DECISION) for chunk in _chunks(descriptor))
        self._torn = False
        self.masks = NO_MASKS

    def record_decision(self, contact: Contact, *, keep_free: int = SETTLE_DECISIONS) -> None:
        """Appends a decision. Raises StorageFull at the ledger's limit or if the disk is full."""
        if self._decisions >= MAX_DECISIONS - keep_free:
            raise StorageFull("ledger-full", f"the egress ledger of job {self._job_id} has {MAX_DECISIONS} decisions")
        self._write(encode_decision(self._job_id, masked(contact, self.masks)))
        self._decisions += 1

    def record_end(self, contact: Contact) -> None:
        """Appends an end; there is at most one for each decision, so it has no limit of its own. Raises StorageFull."""
        self._write(encode_end(self._job_id, contact))

    def _write(self, line: bytes) -> None:
        data = b"\n" + line if self._torn else line
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise StorageFull("ledger-not-written", "the egress ledger cannot be written", cause=str(error)) from error
        self._torn = written < len(data)
        if self._torn:
            raise StorageFull("ledger-not-written", "the egress ledger could not be written completely")

    def close(self) -> None:
        os.close(self._descriptor)


def _chunks(descriptor: int) -> Iterator[bytes]:
    """The file in chunks of whole lines, up to a megabyte each."""
    offset = 0
    while chunk := os.pread(descriptor, 1 << 20, offset):
        whole = chunk.rpartition(b"\n")[0] or chunk
        yield whole
        offset += len(whole)
