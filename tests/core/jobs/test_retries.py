"""Which failures of a step are followed by another attempt, and when."""

import pytest

from danube_pkg.core.jobs import events as ev
from danube_pkg.core.reasons import Reason, Status
from tests.core.jobs.test_transitions import NOW, RED, RUNNING, a_step, after


@pytest.mark.parametrize(
    ("on", "end", "attempt"),
    [
        ((), RED, 2),
        (("3",), RED, 2),
        (("step-failed",), RED, 2),
        (("4", "step-timeout"), RED, 1),
        (("step-timeout",), ev.StepEnd(Status.TIMEOUT, Reason.STEP_TIMEOUT), 2),
    ],
)
def test_an_attempt_follows_the_failures_that_the_author_names_after_the_pause(
    on: tuple[str, ...], end: ev.StepEnd, attempt: int
) -> None:
    job, _ = after(*RUNNING, *a_step(1, retries=1, retry_delay_seconds=60, retry_on=on), ev.StepEnded(1, 1, end))
    step = job.step(1)
    assert step is not None
    assert step.attempt == attempt
    assert step.next_attempt_at == (None if attempt == 1 else NOW + 61)
    assert len(job.records) == 1, "each attempt is a record"


def test_a_step_that_pauses_before_its_next_attempt_can_be_stopped() -> None:
    asked = a_step(1, retries=1, retry_delay_seconds=60)
    job, _ = after(*RUNNING, *asked, ev.StepEnded(1, 1, RED), ev.StepStopRequested(1))
    assert [step.end.reason for step in job.steps[1:] if step.end] == [Reason.STOPPED]
