"""The SQL of jobs, their steps and the effects they owe."""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from danube_pkg.adapters.store.database import Database
from danube_pkg.adapters.store.inbox import settle
from danube_pkg.adapters.store.job_lists import NEWEST_OF_EACH, job_list_query
from danube_pkg.adapters.store.outbox import write_follow_up
from danube_pkg.adapters.store.provenance import read_records, write_provenance
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.environment_approvals import Approvals
from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.filters import JobFilter, RunSummary
from danube_pkg.core.jobs.job import Job, KeptPod, Phase
from danube_pkg.core.jobs.reports import ReportCounts
from danube_pkg.core.jobs.statistics import JobTimes
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import with_revision
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import decode_json, encode_json, replace

_log = EventLog("danube.store")

_APPROVER = """
SELECT json_extract("trigger", '$.approved_by') AS by FROM jobs
WHERE pipeline_id = ? AND json_extract("trigger", '$.approved_by') <> ''
  AND json_extract("trigger", '$.revision.commit_sha') = ?
  AND json_extract("trigger", '$.pull_request.target_branch') = ?
ORDER BY id DESC LIMIT 1"""
"""Its first two conditions are those of the index `jobs_approved`."""

_STATUSES = {str(status): status for status in Status}


class SqliteJobs:
    """`core.store.JobStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._saved: dict[str, Job] = {}
        """The last saved state of each open job, so that a save writes only the steps that changed."""

    async def create_jobs(
        self, jobs: Sequence[Job], follow_up: FollowUp = NO_FOLLOW_UP, settled: Settlement | None = None
    ) -> Sequence[Job]:
        def work(connection: sqlite3.Connection) -> dict[str, str]:
            known = {job.id: found for job in jobs if (found := _existing_job(connection, job))}
            for job in jobs:
                if job.id not in known:
                    _write_job(connection, job)
            write_follow_up(connection, follow_up, known)
            if settled is not None:
                settle(connection, settled, {job.pipeline: known.get(job.id, job.id) for job in jobs})
            return known

        known: dict[str, str] = await self._database.write(work)
        self._saved.update((job.id, job) for job in jobs if job.id not in known)
        found = [await self.load_job(known[job.id]) if job.id in known else job for job in jobs]
        return [job for job in found if job is not None]

    async def save_job(
        self, job: Job, *, done: Effect | None = None, owed: Sequence[Effect] = (), follow_up: FollowUp = NO_FOLLOW_UP
    ) -> None:
        before = self._saved.get(job.id)
        known = set(before.steps) if before is not None else set()

        def work(connection: sqlite3.Connection) -> None:
            if job is not before:
                _write_job(connection, job)
            for step in job.steps:
                if step not in known:
                    _write_step(connection, job.id, step)
            write_provenance(connection, before, job)
            if done is not None:
                connection.execute(
                    "UPDATE effects SET done_at = ? WHERE job_id = ? AND position = ?",
                    (time.time(), done.job_id, done.position),
                )
            _owe(connection, owed)
            write_follow_up(connection, follow_up)

        await self._database.write(work)
        if job.phase is Phase.CLOSED:
            self._saved.pop(job.id, None)
        else:
            self._saved[job.id] = job

    async def load_job(self, job_id: str) -> Job | None:
        rows = self._database.read("SELECT * FROM jobs WHERE id = ?", job_id)
        return next(iter(self._with_steps(rows)), None)

    async def unfinished_jobs(self) -> Sequence[Job]:
        jobs = self._with_steps(self._database.read("SELECT * FROM jobs WHERE phase <> 'closed' ORDER BY id"))
        return [replace(job, records=read_records(self._database, job.id)) for job in jobs]

    async def owed_effects(self, job_id: str) -> Sequence[Effect]:
        rows = self._database.read(
            "SELECT * FROM effects WHERE job_id = ? AND done_at IS NULL ORDER BY position", job_id
        )
        return [Effect(row["job_id"], row["position"], row["generation"], EffectKind(row["kind"])) for row in rows]

    async def list_jobs(self, wanted: JobFilter) -> Sequence[Job]:
        sql, values = job_list_query(wanted)
        return _readable((row, ()) for row in self._database.read(sql, *values))

    async def newest_runs(self, pipelines: Sequence[str], each: int) -> Mapping[str, Sequence[RunSummary]]:
        found: dict[str, list[RunSummary]] = {name: [] for name in pipelines}
        for pipeline, job_id, status, *rest in self._database.read(NEWEST_OF_EACH, json.dumps(list(pipelines)), each):
            if status in _STATUSES:
                found[pipeline].append(RunSummary(job_id, _STATUSES[status], *rest))
        return found

    async def job_times(self, pipeline: str, limit: int) -> Sequence[JobTimes]:
        rows = self._database.read(
            "SELECT status, created_at, started_at, finished_at FROM jobs WHERE pipeline = ? ORDER BY id DESC LIMIT ?",
            pipeline,
            limit,
        )
        return [JobTimes(_STATUSES[status], *times) for status, *times in rows if status in _STATUSES]

    async def approver(self, pipeline_id: str, commit_sha: str, target_branch: str) -> str:
        rows = self._database.read(_APPROVER, pipeline_id, commit_sha, target_branch)
        return str(rows[0]["by"]) if rows else ""

    def version(self) -> int:
        return self._database.version()

    def _with_steps(self, rows: Sequence[sqlite3.Row]) -> list[Job]:
        ids = [row["id"] for row in rows]
        steps: dict[str, list[Step]] = {job_id: [] for job_id in ids}
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            marks = ",".join("?" * len(some))
            for row in self._database.read(f"SELECT * FROM steps WHERE job_id IN ({marks}) ORDER BY sequence", *some):
                try:
                    steps[row["job_id"]].append(_step(row))
                except Exception as error:  # noqa: BLE001 - see `_readable`
                    _log.error("record-unreadable", step=row["id"], cause=f"{type(error).__name__}: {error}")
        return _readable((row, tuple(steps[row["id"]])) for row in rows)


def _write_job(connection: sqlite3.Connection, job: Job) -> None:
    values: dict[str, Any] = {
        "id": job.id,
        "pipeline_id": job.pipeline_id,
        "pipeline": job.pipeline,
        "trigger_type": job.trigger.type,
        "trigger_ref": job.trigger.revision.ref,
        "trigger": encode_json(job.trigger).decode(),
        "branch": job.trigger.revision.branch,
        "settings": encode_json(job.settings).decode(),
        "status": job.status,
        "phase": job.phase,
        "reason": job.reason,
        "message": job.message,
        "generation": job.generation,
        "effect_count": job.effect_count,
        "outcome": job.outcome,
        "cancelled_by": job.cancelled_by,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "deadline_at": job.deadline_at,
        "grace_until": job.grace_until,
        "finished_at": job.finished_at,
        "kept_pod": job.kept_pod,
        "pod_id": job.pod_id,
        "source_rule": job.source_rule,
        "configuration": job.configuration,
        "egress_enforced_by": job.egress_enforced_by,
        "log_path": f"logs/{job.id}.log",
        "origin": job.trigger.origin,
        "reports": encode_json(job.reports).decode(),
        "approvals": encode_json(job.approvals).decode(),
    }
    _upsert(connection, "jobs", values)


def _existing_job(connection: sqlite3.Connection, job: Job) -> str:
    """The id of the stored job with the same id, or the same pipeline and origin; "" where there is none."""
    wanted = (job.id, job.pipeline_id, job.trigger.origin)
    found = connection.execute(
        "SELECT id FROM jobs WHERE id = ? OR (pipeline_id = ? AND origin = ? AND origin <> '')", wanted
    )
    row = found.fetchone()
    return str(row["id"]) if row is not None else ""


def _write_step(connection: sqlite3.Connection, job_id: str, step: Step) -> None:
    values: dict[str, Any] = {
        "id": step.id,
        "job_id": job_id,
        "name": step.name,
        "sequence": step.sequence,
        "status": step.status,
        "exit_code": step.end.exit_code if step.end else None,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "log_offset_start": step.log_begin,
        "log_offset_end": step.log_end,
        "image": step.image,
        "checked": int(step.check),
        "retries": step.retries,
        "timeout_seconds": step.timeout_seconds,
        "shell": step.shell,
        "leg": step.leg,
        "isolation": step.isolation,
        "retry_delay_seconds": step.retry_delay_seconds,
        "retry_on": json.dumps(step.retry_on),
        "next_attempt_at": step.next_attempt_at,
        "cleanup": int(step.cleanup),
        "attempt": step.attempt,
        "phase": step.phase,
        "container": step.container,
        "image_digest": step.image_digest,
        "stopping": int(step.stopping),
        "memory_kills": step.memory_kills,
        "snapshot": step.snapshot,
        "restored_from": step.restored_from,
        "before": step.before,
        "asked_at": step.requested_at,
        "record": encode_json(step.end).decode() if step.end else None,
    }
    _upsert(connection, "steps", values)


def _upsert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    changes = ", ".join(f"{name} = excluded.{name}" for name in values if name != "id")
    connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changes}", values
    )


def _owe(connection: sqlite3.Connection, effects: Sequence[Effect]) -> None:
    """Idempotent: a commit that seemed to fail may have happened, and is then repeated."""
    connection.executemany(
        "INSERT INTO effects (job_id, position, generation, kind) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(effect.job_id, effect.position, effect.generation, effect.kind) for effect in effects],
    )


def _readable(rows: Iterable[tuple[sqlite3.Row, tuple[Step, ...]]]) -> list[Job]:
    """The jobs in rows with their steps. A row that was damaged is logged and left out: it must not hide all others."""
    found = []
    for row, steps in rows:
        try:
            found.append(_job(row, steps))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row concerns that job alone
            _log.error("record-unreadable", job=row["id"], cause=f"{type(error).__name__}: {error}")
    return found


def _job(row: sqlite3.Row, steps: tuple[Step, ...]) -> Job:
    return Job(
        id=row["id"],
        pipeline_id=row["pipeline_id"],
        pipeline=row["pipeline"],
        trigger=decode_json(with_revision(row["trigger"]), Trigger),
        settings=_settings(row["settings"]),
        created_at=row["created_at"],
        phase=Phase(row["phase"]),
        status=Status(row["status"]),
        reason=Reason(row["reason"]),
        message=row["message"],
        generation=row["generation"],
        effect_count=row["effect_count"],
        outcome=Status(row["outcome"]) if row["outcome"] else None,
        cancelled_by=row["cancelled_by"],
        started_at=row["started_at"],
        deadline_at=row["deadline_at"],
        grace_until=row["grace_until"],
        finished_at=row["finished_at"],
        kept_pod=KeptPod(row["kept_pod"]),
        pod_id=row["pod_id"],
        source_rule=row["source_rule"],
        configuration=row["configuration"],
        egress_enforced_by=row["egress_enforced_by"],
        steps=steps,
        reports=decode_json(row["reports"], tuple[ReportCounts, ...]),
        approvals=decode_json(row["approvals"], Approvals),
    )


@lru_cache(maxsize=1024)
def _settings(text: str) -> PipelineSettings:
    """Cached: jobs of one revision of a pipeline have the same text."""
    return decode_json(text, PipelineSettings)


def _step(row: sqlite3.Row) -> Step:
    return Step(
        id=row["id"],
        sequence=row["sequence"],
        name=row["name"],
        image=row["image"],
        check=bool(row["checked"]),
        retries=row["retries"],
        timeout_seconds=row["timeout_seconds"],
        shell=row["shell"],
        leg=row["leg"],
        isolation=row["isolation"],
        retry_delay_seconds=row["retry_delay_seconds"],
        retry_on=tuple(json.loads(row["retry_on"])),
        next_attempt_at=row["next_attempt_at"],
        cleanup=bool(row["cleanup"]),
        attempt=row["attempt"],
        phase=StepPhase(row["phase"]),
        status=Status(row["status"]),
        container=row["container"],
        image_digest=row["image_digest"],
        stopping=bool(row["stopping"]),
        memory_kills=row["memory_kills"],
        snapshot=row["snapshot"],
        restored_from=row["restored_from"],
        before=row["before"],
        requested_at=row["asked_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        end=decode_json(row["record"], StepEnd) if row["record"] else None,
        log_begin=row["log_offset_start"],
        log_end=row["log_offset_end"],
    )
