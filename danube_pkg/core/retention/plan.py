"""Decides which files of ended jobs are removed: those that are too old, then the oldest ones above a size limit.

A job's age is counted from its end, or from the time in its id where that is later: ids never go back, so a job that
ended while the clock was behind is not older than the jobs before it. Files of jobs that have not ended, that are kept,
or that the database does not know are never removed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from danube_pkg.kit.records import Record

DAY_SECONDS = 86400.0


class FileKind(StrEnum):
    """What a job leaves on the disk. logs: its log, the log's index and the egress ledger."""

    LOGS = "logs"
    ARTIFACTS = "artifacts"


class Why(StrEnum):
    """Why files are removed. remainder: they were being removed when the server was stopped."""

    AGE = "age"
    SIZE = "size"
    REMAINDER = "remainder"


class RetentionLimit(Record):
    """How long files of one kind are kept, and their size together; limit_bytes: 0 for no limit."""

    keep_seconds: float
    limit_bytes: int = 0


class RetentionPolicy(Record):
    """The limits of each kind of files, and of caches."""

    logs: RetentionLimit
    artifacts: RetentionLimit
    caches: RetentionLimit = RetentionLimit(14 * DAY_SECONDS)
    """The caches of all pipelines, counted from their last use: see `core.caches`."""

    def of(self, kind: FileKind) -> RetentionLimit:
        """The limit of a kind."""
        return self.logs if kind is FileKind.LOGS else self.artifacts


class JobFiles(Record):
    """Files of one kind that a job has on the disk."""

    job_id: str
    kind: FileKind
    size_bytes: int


class JobAge(Record):
    """What retention knows of a job. ended_at: Unix seconds; None while its files are in use. removed: the kinds whose
    removal was recorded."""

    job_id: str
    pipeline: str
    ended_at: float | None
    kept: bool = False
    removed: frozenset[FileKind] = frozenset()


class Removal(Record):
    """Files that are removed. age_seconds: since the job ended."""

    job_id: str
    pipeline: str
    kind: FileKind
    size_bytes: int
    why: Why
    age_seconds: float


class RetentionPlan(Record):
    """What is removed, oldest first.

    kept_bytes: of each kind, what stays. over_bytes: how much of that is above the limit, since all of it belongs to
    kept or unfinished jobs. unknown: files of jobs that the database does not know; they stay.
    """

    removals: tuple[Removal, ...]
    kept_bytes: Mapping[FileKind, int]
    over_bytes: Mapping[FileKind, int]
    unknown: tuple[JobFiles, ...] = ()

    @property
    def freed_bytes(self) -> int:
        """The size of everything that is removed."""
        return sum(one.size_bytes for one in self.removals)


def plan_removals(
    files: Iterable[JobFiles], jobs: Mapping[str, JobAge], policy: RetentionPolicy, now: float
) -> RetentionPlan:
    """files: everything on the disk. jobs: by id, those that the database knows. now: Unix seconds."""
    by_kind: dict[FileKind, list[tuple[JobAge, JobFiles]]] = {kind: [] for kind in FileKind}
    unknown = []
    for one in files:
        job = jobs.get(one.job_id)
        if job is None:
            unknown.append(one)
        else:
            by_kind[one.kind].append((job, one))
    removals: list[Removal] = []
    kept, over = {}, {}
    for kind, found in by_kind.items():
        chosen, kept[kind], over[kind] = _of_kind(found, policy.of(kind), now)
        removals += chosen
    removals.sort(key=lambda one: (-one.age_seconds, one.job_id))
    return RetentionPlan(tuple(removals), kept, over, tuple(unknown))


def _of_kind(
    found: Sequence[tuple[JobAge, JobFiles]], limit: RetentionLimit, now: float
) -> tuple[list[Removal], int, int]:
    """The removals of one kind, the bytes that stay, and how many of these are above the limit."""
    removals: list[Removal] = []
    candidates: list[Removal] = []
    kept = 0
    for job, files in found:
        if job.ended_at is None or job.kept:
            kept += files.size_bytes
            continue
        age = now - job.ended_at
        why = Why.REMAINDER if files.kind in job.removed else Why.AGE if age > limit.keep_seconds else Why.SIZE
        removal = Removal(job.job_id, job.pipeline, files.kind, files.size_bytes, why, age)
        (candidates if why is Why.SIZE else removals).append(removal)
    candidates.sort(key=lambda one: (-one.age_seconds, one.job_id))
    total = kept + sum(one.size_bytes for one in candidates)
    for one in candidates:
        if not limit.limit_bytes or total <= limit.limit_bytes:
            break
        removals.append(one)
        total -= one.size_bytes
    return removals, total, max(0, total - limit.limit_bytes) if limit.limit_bytes else 0


def ended_at(finished_at: float | None, id_time: float, *, is_closed: bool) -> float | None:
    """From when on a job's age counts; None while its files are in use. id_time: the time in its id."""
    return max(finished_at or 0.0, id_time) if is_closed else None


def freed_by_why(removals: Collection[Removal]) -> dict[str, int]:
    """Bytes by kind and reason (`logs-age`), for the server's log and the audit log."""
    found: dict[str, int] = {}
    for one in removals:
        name = f"{one.kind}-{one.why}"
        found[name] = found.get(name, 0) + one.size_bytes
    return found
