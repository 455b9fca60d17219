"""Rebuilds: what a job and its original have built."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.provenance.rebuilds import ComparedOutput, is_match
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record


class ComparedOutputView(Record):
    """An artifact or image of one or both jobs."""

    name: Annotated[str, about("The file's name, or the image's.")]
    sha256: Annotated[str, about("What the original has built; empty where it has not.")]
    rebuilt_sha256: Annotated[str, about("What the rebuild has built; empty where it has not.")]
    same: Annotated[bool, about("Whether both are the same.")]


class RebuildReport(Record):
    """A rebuild beside its original."""

    original: Annotated[str, about("The id of the job that was rebuilt.")]
    status: Annotated[Status, about("The rebuild's own status.")]
    matches: Annotated[bool, about("Whether the rebuild succeeded and built the same; false until it has ended.")]
    outputs: Annotated[tuple[ComparedOutputView, ...], about("All that either job has built, by name.")]


def rebuild_report(job: Job, outputs: Sequence[ComparedOutput]) -> RebuildReport:
    """job: the rebuild."""
    views = tuple(ComparedOutputView(one.name, one.sha256, one.rebuilt_sha256, one.is_same) for one in outputs)
    original = job.trigger.rebuild.job if job.trigger.rebuild is not None else ""
    return RebuildReport(original, job.status, job.status is Status.SUCCESS and is_match(outputs), views)
