"""The SQL of signed statements and sealed records. Both are written with the state of their job, and never changed."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.jobs.job import Job, Provenance
from danube_pkg.core.jobs.sealed_records import SealedRecord


class SqliteProvenance:
    """`core.provenance.ports.ProvenanceStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load_provenance(self, job_id: str) -> Provenance | None:
        rows = self._database.read("SELECT envelope, key_id, problem FROM provenance WHERE job_id = ?", job_id)
        return Provenance(*rows[0]) if rows else None

    async def load_records(self, job_id: str) -> Sequence[SealedRecord]:
        return read_records(self._database, job_id)


def read_records(database: Database, job_id: str) -> tuple[SealedRecord, ...]:
    """The sealed records of a job, in their order."""
    rows = database.read("SELECT content, hash FROM sealed_records WHERE job_id = ? ORDER BY position", job_id)
    return tuple(SealedRecord(*row) for row in rows)


def write_provenance(connection: sqlite3.Connection, before: Job | None, job: Job) -> None:
    """The records and the statement that the job did not have before. Idempotent: what is stored stays."""
    known = len(before.records) if before is not None else 0
    connection.executemany(
        "INSERT INTO sealed_records (job_id, position, content, hash) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (job.id, position, record.content, record.hash)
            for position, record in enumerate(job.records[known:], start=known + 1)
        ],
    )
    if (signed := job.provenance) is not None and (before is None or before.provenance is None):
        connection.execute(
            "INSERT INTO provenance (job_id, envelope, key_id, problem) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (job.id, signed.envelope, signed.key_id, signed.problem),
        )
