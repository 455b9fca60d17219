"""The SQL of tests that reports name, and of summaries, coverage and annotations."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.jobs.report_notes import ReportNote
from danube_pkg.core.jobs.reports import HISTORY_JOBS, CaseStatus, JobReport, PastResult, ReportedTest
from danube_pkg.kit.records import decode_json, encode_json

_PAST = """
SELECT jobs.id AS job_id, json_extract(jobs.trigger, '$.revision.commit_sha') AS commit_sha, EXISTS (
    SELECT 1 FROM reported_tests WHERE job_id = jobs.id AND name = ? AND status = 'failed'
) AS failed
FROM jobs
WHERE pipeline_id = (SELECT pipeline_id FROM jobs WHERE id = ?) AND id <= ? AND reports <> '[]'
ORDER BY id DESC LIMIT ?
"""

_CASES = """
SELECT name, status, seconds, message, file, line FROM reported_tests WHERE job_id = ?
ORDER BY CASE status WHEN 'failed' THEN 0 WHEN 'flaky' THEN 1 ELSE 2 END,
    CASE status WHEN 'passed' THEN -seconds ELSE 0 END, sequence, position
"""


class SqliteReports:
    """`core.jobs.reports.ReportStore`, `core.jobs.report_notes.ReportNotes`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_report(self, job_id: str, report: JobReport) -> None:
        rows = [
            (job_id, report.counts.sequence, at, one.name, one.status, one.seconds, one.message, one.file, one.line)
            for at, one in enumerate(report.cases)
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO reported_tests (job_id, sequence, position, name, status, seconds, message, file, line)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                rows,
            )

        await self._database.write(write)

    async def add_note(self, job_id: str, note: ReportNote) -> None:
        values = (job_id, note.sequence, encode_json(note).decode())
        sql = "INSERT INTO report_notes (job_id, sequence, note) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        await self._database.write(lambda connection: connection.execute(sql, values) and None)

    async def list_notes(self, job_id: str) -> Sequence[ReportNote]:
        rows = self._database.read("SELECT note FROM report_notes WHERE job_id = ? ORDER BY sequence", job_id)
        return [decode_json(row["note"], ReportNote) for row in rows]

    async def list_cases(self, job_id: str) -> Sequence[ReportedTest]:
        rows = self._database.read(_CASES, job_id)
        return [ReportedTest(row["name"], CaseStatus(row["status"]), *row[2:]) for row in rows]

    async def past_results(self, job_id: str, name: str) -> Sequence[PastResult]:
        rows = self._database.read(_PAST, name, job_id, job_id, HISTORY_JOBS)
        return [PastResult(row["job_id"], row["commit_sha"] or "", bool(row["failed"])) for row in rows]
