"""The server itself: load, drain state, subsystems."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.health.repairs import Repair
from danube_pkg.core.health.subsystems import Part
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time


class DrainView(Record):
    """Whether the server is draining: it starts no new jobs, and running ones continue."""

    active: Annotated[bool, about("True while it is draining.")]
    by: Annotated[str, about("Who drained it; empty if it is not draining.")]
    since: Annotated[Time | None, about("Since when; null if it is not draining.")]


class DrainCancelView(Record):
    """Jobs that are ended because the server is drained."""

    cancelled: Annotated[int, about("How many jobs are being cancelled.")]


class SubsystemView(Record):
    """How a part of the server is doing."""

    part: Annotated[Part, about("Which part.")]
    ok: Annotated[bool, about("Whether it works.")]
    says: Annotated[str, about("Its state in one sentence.")]
    hint: Annotated[str, about("How to fix it; empty if it works.")]
    since: Annotated[Time | None, about("Since when; null for parts whose state is not recorded.")] = None


class RepairView(Record):
    """A repair that the server has tried by itself."""

    at: Annotated[Time, about("When.")]
    repair: Annotated[Repair, about("What was done.")]
    why: Annotated[str, about("The reference of the condition that it was for.")]
    outcome: Annotated[str, about("done or failed.")]
    what: Annotated[str, about("One sentence about it.")]


class AwaitedApprovalView(Record):
    """A running job that waits for approval of an environment."""

    job: Annotated[str, about("The job's id.")]
    pipeline: Annotated[str, about("Its pipeline.")]
    environment: Annotated[str, about("The environment.")]
    expires_at: Annotated[Time, about("When the wait ends without a decision.")]


class SystemView(Record):
    """What the server is doing."""

    version: Annotated[str, about("Danube's version.")]
    started_at: Annotated[Time, about("When the server was started.")]
    draining: Annotated[DrainView, about("Whether it takes new work.")]
    max_concurrent_jobs: Annotated[int, about("How many jobs may run at once.")]
    phases: Annotated[dict[str, int], about("How many jobs that are not closed are in each phase.")]
    waiting_for_approval: Annotated[
        tuple[AwaitedApprovalView, ...],
        about(
            "Running jobs that wait for approval of an environment: a restart does not end them, a drain waits for them."
        ),
    ]
    disk_free_bytes: Annotated[int, about("Free space on the disk with the artifacts.")]
    disk_total_bytes: Annotated[int, about("Size of that disk.")]
    subsystems: Annotated[tuple[SubsystemView, ...], about("The parts of the server.")]
    repairs: Annotated[tuple[RepairView, ...], about("The last repairs since the server's start, newest first.")]
