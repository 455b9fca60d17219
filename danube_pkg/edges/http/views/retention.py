"""Retention: what is removed from the disk, and what stays."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.caches.cache import CacheEntry
from danube_pkg.core.documents.marked import about
from danube_pkg.core.retention.plan import FileKind, Removal, RetentionPlan, Why
from danube_pkg.core.retention.ports import JobRetention
from danube_pkg.core.retention.registry import ImageRemoval, ImageWhy
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso_or_none
from danube_pkg.services.retention import RetentionRun

SHOWN_REMOVALS = 1000
"""Removals in one answer: the oldest; the counts are of all."""


class RemovalView(Record):
    """Files of a job that are to be removed."""

    job: Annotated[str, about("The job's id.")]
    pipeline: Annotated[str, about("Its pipeline.")]
    kind: Annotated[FileKind, about("logs, with the egress ledger, or artifacts.")]
    size_bytes: Annotated[int, about("Their size.")]
    why: Annotated[Why, about("age, size (above the limit in GiB), or remainder of an interrupted removal.")]
    age_days: Annotated[float, about("Days since the job ended.")]


class ImageRemovalView(Record):
    """An image of the registry that is to be removed."""

    repository: Annotated[str, about("Its repository.")]
    digest: Annotated[str, about("The digest of its manifest.")]
    tags: Annotated[tuple[str, ...], about("Its tags.")]
    why: Annotated[
        ImageWhy,
        about("age, count, size (of its pipeline), untagged, or orphan of an image that is gone."),
    ]


class RetentionView(Record):
    """What a run would remove now."""

    removals: Annotated[tuple[RemovalView, ...], about(f"The oldest {SHOWN_REMOVALS}.")]
    count: Annotated[int, about("How many there are.")]
    freed_bytes: Annotated[int, about("The size of all of them.")]
    kept_bytes: Annotated[dict[str, int], about("The size of what stays, by kind.")]
    unknown: Annotated[int, about("Files of jobs that the database does not know, by job and kind; they stay.")]
    images: Annotated[tuple[ImageRemovalView, ...], about(f"The first {SHOWN_REMOVALS} images of the registry.")]
    images_problem: Annotated[str, about("Why the registry cannot be read; empty if it can, or if there is none.")]
    caches: Annotated[int, about("How many caches, which no job has used for long or above their limit.")]
    caches_bytes: Annotated[int, about("The size of these caches.")]
    problem: Annotated[str, about("Why nothing is removed at present; empty if it is.")]
    last_run_at: Annotated[Time | None, about("When files were removed last; null before the first time.")]


class ReapView(Record):
    """What a run removed."""

    count: Annotated[int, about("How many removals: one for each job and kind.")]
    freed_bytes: Annotated[int, about("Their size.")]
    caches: Annotated[int, about("How many caches were removed.")]
    images: Annotated[int, about("How many images were removed from the registry.")]


class JobRetentionView(Record):
    """Whether a job's files are kept, and which were removed."""

    kept_by: Annotated[str, about("Who keeps them; empty if they are removed when they are due.")]
    log_removed_at: Annotated[Time | None, about("When the log was removed; null if it was not.")]
    artifacts_removed_at: Annotated[Time | None, about("When the artifacts were removed; null if they were not.")]


def retention_view(
    plan: RetentionPlan,
    images: tuple[Sequence[ImageRemoval], str],
    caches: Sequence[CacheEntry],
    problem: str,
    last_run: float | None,
) -> RetentionView:
    """images: what is removed from the registry, and why that cannot be said. last_run: Unix seconds."""
    removals, images_problem = images
    return RetentionView(
        removals=tuple(map(_removal_view, plan.removals[:SHOWN_REMOVALS])),
        count=len(plan.removals),
        freed_bytes=plan.freed_bytes,
        kept_bytes={str(kind): count for kind, count in plan.kept_bytes.items()},
        unknown=len(plan.unknown),
        images=tuple(
            ImageRemovalView(one.repository, one.digest, one.tags, one.why) for one in removals[:SHOWN_REMOVALS]
        ),
        images_problem=images_problem,
        caches=len(caches),
        caches_bytes=sum(one.size_bytes for one in caches),
        problem=problem,
        last_run_at=iso_or_none(last_run),
    )


def _removal_view(one: Removal) -> RemovalView:
    return RemovalView(one.job_id, one.pipeline, one.kind, one.size_bytes, one.why, round(one.age_seconds / 86400, 1))


def reap_view(run: RetentionRun) -> ReapView:
    """The run without its time."""
    return ReapView(run.removals, run.freed_bytes, run.caches, run.images)


def job_retention_view(one: JobRetention) -> JobRetentionView:
    """What retention has done with one job."""
    removed = one.removed_at
    return JobRetentionView(
        one.kept_by, iso_or_none(removed.get(FileKind.LOGS)), iso_or_none(removed.get(FileKind.ARTIFACTS))
    )
