"""The spans of a job, derived from its stored record when it is closed.

Trace and span ids are hashes of the job's id and of a span's name, so that no context has to be stored or handed on: a
server that was restarted gives the same `traceparent` to a step, and sends the same trace. Sources: W3C Trace Context
(https://www.w3.org/TR/trace-context/), OpenTelemetry's semantic conventions for HTTP and CI/CD.
"""

import hashlib
import re
from collections.abc import Mapping
from enum import IntEnum

from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record, field

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

Period = tuple[float, float]
"""Begin and end in Unix seconds."""


class SpanKind(IntEnum):
    """OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2


class Span(Record):
    """One span. trace_id, span_id: hexadecimal. parent_id: "" for the first span of a trace. Times in Unix seconds.
    problem: why it failed, "" where it did not."""

    trace_id: str
    span_id: str
    name: str
    begin: float
    end: float
    parent_id: str = ""
    kind: SpanKind = SpanKind.INTERNAL
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    problem: str = ""


class TraceParent(Record):
    """The caller's span, of a `traceparent` header."""

    trace_id: str
    span_id: str
    sampled: bool


def read_traceparent(header: str) -> TraceParent | None:
    """None for a header that is not one of version 00, or whose ids are all zero."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return TraceParent(found[1], found[2], bool(int(found[3], 16) & 1))


def trace_id_of(job_id: str) -> str:
    """The trace of a job."""
    return hashlib.blake2b(job_id.encode(), digest_size=16, person=b"danube-trace").hexdigest()


def span_id_of(job_id: str, name: str) -> str:
    """A span of a job's trace."""
    return hashlib.blake2b(f"{job_id} {name}".encode(), digest_size=8, person=b"danube-span").hexdigest()


def is_sampled(trace_id: str, ratio: float) -> bool:
    """The same decision for all spans of a trace, by its id, as OpenTelemetry's TraceIdRatioBased makes it."""
    return int(trace_id[16:], 16) < ratio * 2**64


def step_traceparent(job_id: str, sequence: int, ratio: float) -> str:
    """The `traceparent` of a step, whose own spans belong below the step's."""
    trace_id = trace_id_of(job_id)
    flags = "01" if is_sampled(trace_id, ratio) else "00"
    return f"00-{trace_id}-{span_id_of(job_id, step_name(sequence))}-{flags}"


def step_name(sequence: int) -> str:
    """The name of a step's span within its job; step 0 is the coordinator, which runs the danubefile."""
    return "danubefile" if sequence == COORDINATOR_SEQUENCE else f"step {sequence}"


def job_spans(job: Job, closed_at: float, source: Period | None = None) -> tuple[Span, ...]:
    """The trace of a closed job: trigger → queue → pod → source → each step → end, all below one span for the job.

    source: when its source tree was prepared; None where that is not known, as after a restart. Names and attributes
    hold no address of a user and no message; names of steps are the author's, and must be redacted.
    """
    received = job.trigger.received_at
    began = min(received, job.created_at) if received is not None else job.created_at
    root = Span(
        trace_id_of(job.id),
        span_id_of(job.id, "job"),
        f"job {job.pipeline}",
        began,
        max(closed_at, began),
        attributes=_job_attributes(job),
        problem=str(job.reason) if job.status not in (Status.SUCCESS, Status.CANCELLED) else "",
    )
    coordinator = job.step(COORDINATOR_SEQUENCE)
    started = job.started_at
    pod_ready = coordinator.started_at if coordinator is not None else None
    finished = max((step.finished_at for step in job.steps if step.finished_at is not None), default=job.finished_at)
    parts: list[tuple[str, float | None, float | None]] = [
        (f"trigger {job.trigger.type}", began, job.created_at),
        ("queue", job.created_at, started if started is not None else job.finished_at),
        ("pod", started, pod_ready if pod_ready is not None else job.finished_at),
        ("source", *(source or (None, None))),
    ]
    spans = [root]
    spans += [_part(job, name, begin, end) for name, begin, end in parts if begin is not None and end is not None]
    spans += [_step(job, step) for step in job.steps if step.started_at is not None]
    if finished is not None and started is not None:
        spans.append(_part(job, "end", finished, closed_at))
    return tuple(spans)


def request_span(
    method: str, route: str, status: int, period: Period, ids: tuple[str, str], parent: TraceParent | None
) -> Span:
    """A request of the HTTP API. route: with names of parameters, not with their values. ids: of trace and span, for a
    request without a parent."""
    trace_id = parent.trace_id if parent is not None else ids[0]
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    parent_id = parent.span_id if parent is not None else ""
    problem = f"status {status}" if status >= 500 else ""
    return Span(
        trace_id,
        ids[1],
        f"{method} {route}",
        *period,
        parent_id,
        SpanKind.SERVER,
        attributes=attributes,
        problem=problem,
    )


def _job_attributes(job: Job) -> Mapping[str, str | int]:
    return {
        "cicd.pipeline.name": job.pipeline,
        "cicd.pipeline.run.id": job.id,
        "cicd.pipeline.result": str(job.status),
        "danube.reason": str(job.reason),
        "danube.trigger": job.trigger.type,
        "vcs.ref.head.revision": job.trigger.revision.commit_sha,
        "vcs.ref.head.name": job.trigger.revision.name,
    }


def _part(job: Job, name: str, begin: float, end: float) -> Span:
    parent_id = span_id_of(job.id, "job")
    return Span(trace_id_of(job.id), span_id_of(job.id, name), name, begin, max(begin, end), parent_id)


def _step(job: Job, step: Step) -> Span:
    is_coordinator = step.sequence == COORDINATOR_SEQUENCE
    name = step_name(step.sequence)
    begin = step.started_at or job.created_at
    end = step.finished_at if step.finished_at is not None else job.finished_at
    attributes: dict[str, str | int] = {
        "cicd.pipeline.task.run.result": str(step.status),
        "danube.attempt": step.attempt,
    }
    if not is_coordinator:
        attributes |= {"cicd.pipeline.task.name": step.name, "container.image.name": step.image}
    if step.end is not None and step.end.exit_code is not None:
        attributes["process.exit.code"] = step.end.exit_code
    return Span(
        trace_id_of(job.id),
        span_id_of(job.id, name),
        name if is_coordinator else f"step {step.name}",
        begin,
        max(begin, end if end is not None else begin),
        span_id_of(job.id, "job" if is_coordinator else step_name(COORDINATOR_SEQUENCE)),
        attributes=attributes,
        problem="" if step.status is Status.SUCCESS else str(step.end.reason if step.end is not None else job.reason),
    )
