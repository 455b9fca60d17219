"""Exports of jobs: provenance, sealed records, log and egress ledger as one tar archive, to be verified elsewhere."""

import asyncio
import tarfile
from collections.abc import AsyncIterator

from danube_pkg.core.egress.ports import EgressLedgers
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.sealed_records import EGRESS, LOG
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.provenance.ports import ProvenanceStore
from danube_pkg.core.provenance.sealed_job import (
    EGRESS_MEMBER,
    LOG_MEMBER,
    PROVENANCE_MEMBER,
    RECORDS_MEMBER,
    encode_records,
)
from danube_pkg.core.provenance.statement import sealed_content
from danube_pkg.services.provenance.statements import Statements

CHUNK_BYTES = 256 * 1024


class JobExports:
    """Exports of ended jobs."""

    def __init__(self, statements: Statements, store: ProvenanceStore, logs: JobLogs, ledgers: EgressLedgers) -> None:
        self._statements = statements
        self._store = store
        self._logs = logs
        self._ledgers = ledgers

    async def export(self, job: Job) -> AsyncIterator[bytes]:
        """The archive in parts. Raises Conflict and NotFound for a job without provenance, before the first part."""
        envelope = (await self._statements.of(job)).envelope + b"\n"
        return self._archive(job, envelope)

    async def _archive(self, job: Job, envelope: bytes) -> AsyncIterator[bytes]:
        records = await self._store.load_records(job.id)
        for name, data in ((PROVENANCE_MEMBER, envelope), (RECORDS_MEMBER, encode_records(records))):
            yield _header(job, name, len(data)) + data + _padding(len(data))
        size = int(sealed_content(records, LOG).get("sizeBytes", 0))
        yield _header(job, LOG_MEMBER, size)
        for begin in range(0, size, CHUNK_BYTES):
            end = min(size, begin + CHUNK_BYTES)
            yield (await self._logs.read(job.id, begin, end)).ljust(end - begin, b"\0")
        yield _padding(size)
        size = int(sealed_content(records, EGRESS).get("sizeBytes", 0))
        yield _header(job, EGRESS_MEMBER, size)
        for begin in range(0, size, CHUNK_BYTES):
            end = min(size, begin + CHUNK_BYTES)
            yield (await asyncio.to_thread(self._ledgers.read_raw, job.id, begin, end)).ljust(end - begin, b"\0")
        yield _padding(size) + b"\0" * 2 * tarfile.BLOCKSIZE


def _header(job: Job, name: str, size: int) -> bytes:
    """The header of a member (POSIX.1-2017, pax, ustar)."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mtime = int(job.finished_at or 0)
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)
