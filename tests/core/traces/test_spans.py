"""The trace of a job: one tree, derived from the record alone."""

import pytest

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.traces.spans import (
    is_sampled,
    job_spans,
    read_traceparent,
    request_span,
    step_traceparent,
    trace_id_of,
)
from danube_pkg.kit.records import replace

ARRIVED = 1_700_000_000.0
TRIGGER = Trigger("webhook", "carol@example.com", Revision("c0ffee" * 6, branch="main"), received_at=ARRIVED)
COORDINATOR = Step(
    "j-0000",
    0,
    "",
    "host",
    phase=StepPhase.ENDED,
    status=Status.SUCCESS,
    started_at=ARRIVED + 4,
    finished_at=ARRIVED + 9,
)
FAILED = Step(
    "j-0001",
    1,
    "test",
    "node:20",
    phase=StepPhase.ENDED,
    status=Status.FAILURE,
    started_at=ARRIVED + 5,
    finished_at=ARRIVED + 8,
    end=StepEnd(Status.FAILURE, Reason.STEP_FAILED, exit_code=3),
)
JOB = Job(
    "01" * 13,
    "id-app",
    "app",
    TRIGGER,
    PipelineSettings("/x"),
    ARRIVED + 1,
    phase=Phase.CLOSED,
    status=Status.FAILURE,
    reason=Reason.STEP_FAILED,
    message="carol@example.com broke it",
    started_at=ARRIVED + 2,
    finished_at=ARRIVED + 10,
    steps=(COORDINATOR, FAILED),
)


def test_a_job_is_one_tree_from_its_trigger_to_its_end() -> None:
    spans = job_spans(JOB, ARRIVED + 11, source=(ARRIVED + 2, ARRIVED + 3))
    assert {one.trace_id for one in spans} == {trace_id_of(JOB.id)}
    assert len({one.span_id for one in spans}) == len(spans)
    by_id = {one.span_id: one for one in spans}
    names = {one.name: by_id[one.parent_id].name if one.parent_id else "" for one in spans}
    assert names == {
        "job app": "",
        "trigger webhook": "job app",
        "queue": "job app",
        "pod": "job app",
        "source": "job app",
        "danubefile": "job app",
        "step test": "danubefile",
        "end": "job app",
    }
    times = {one.name: (one.begin - ARRIVED, one.end - ARRIVED) for one in spans}
    assert times["job app"] == (0, 11)
    assert (times["trigger webhook"], times["queue"], times["pod"]) == ((0, 1), (1, 2), (2, 4))
    assert (times["source"], times["step test"], times["end"]) == ((2, 3), (5, 8), (9, 11))
    step = next(one for one in spans if one.name == "step test")
    assert (step.problem, step.attributes["process.exit.code"]) == ("step-failed", 3)
    assert "example.com" not in repr(spans)


def test_a_job_that_never_started_has_a_trace_too() -> None:
    job = replace(JOB, steps=(), started_at=None, status=Status.CANCELLED, reason=Reason.CANCELLED)
    spans = job_spans(replace(job, trigger=replace(TRIGGER, received_at=None)), ARRIVED + 20)
    assert [one.name for one in spans] == ["job app", "trigger webhook", "queue"]
    assert spans[0].begin == JOB.created_at
    assert spans[0].problem == ""


def test_a_step_gets_the_id_of_its_own_span() -> None:
    parent = read_traceparent(step_traceparent(JOB.id, 1, 1.0))
    assert parent is not None
    span = next(one for one in job_spans(JOB, ARRIVED + 11) if one.name == "step test")
    assert (parent.trace_id, parent.span_id, parent.sampled) == (span.trace_id, span.span_id, True)
    assert step_traceparent(JOB.id, 1, 0.0).endswith("-00")


def test_about_the_wanted_share_is_sampled_and_always_the_same() -> None:
    ids = [trace_id_of(str(number)) for number in range(2000)]
    assert sum(is_sampled(one, 0.1) for one in ids) == pytest.approx(200, abs=60)
    assert all(is_sampled(one, 1.0) for one in ids)
    assert not any(is_sampled(one, 0.0) for one in ids)
    assert {one for one in ids if is_sampled(one, 0.1)} <= {one for one in ids if is_sampled(one, 0.5)}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-abc-def-01",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"ff-{'1' * 32}-{'1' * 16}-01",
    ],
)
def test_another_header_begins_a_trace_of_its_own(header: str) -> None:
    assert read_traceparent(header) is None
    span = request_span("GET", "/api/v1/jobs", 503, (1.0, 2.0), ("a" * 32, "b" * 16), None)
    assert (span.trace_id, span.span_id, span.parent_id, span.problem) == ("a" * 32, "b" * 16, "", "status 503")
