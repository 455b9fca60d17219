"""A clock that is set ends no job: what runs keeps the time that it has left."""

import pytest

from danube_pkg.core.jobs.clock_jumps import JUMP_SECONDS, jump_between, with_clock_moved
from danube_pkg.core.jobs.events import ClockMoved
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.transitions import decide
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Status
from danube_pkg.kit.boot_clock import read_clocks
from danube_pkg.kit.clock_samples import ClockSample
from danube_pkg.kit.records import replace

ENDED = Step("1", 1, "a", "host", phase=StepPhase.ENDED, started_at=101.0, finished_at=102.0)
OPEN = Step("2", 2, "b", "host", phase=StepPhase.STARTED, requested_at=103.0, started_at=104.0, next_attempt_at=105.0)
RUNNING = Job(
    "01", "id", "app", Trigger("manual", "alice"), PipelineSettings("/x"), 90.0,
    phase=Phase.RUNNING, status=Status.RUNNING, started_at=100.0, deadline_at=400.0, steps=(ENDED, OPEN),
)  # fmt: skip


@pytest.mark.parametrize(
    ("at", "boot_id", "boot_seconds", "jump"),
    [
        (1000.0 + 60, "a", 500.0 + 60, 0.0),
        (1000.0 + 3660, "a", 500.0 + 60, 3600.0),
        (1000.0 - 3540, "a", 500.0 + 60, -3600.0),
        (1000.0 + 60 + JUMP_SECONDS / 2, "a", 500.0 + 60, 0.0),  # a time service's correction
        (1000.0 + 3660, "b", 10.0, 0.0),  # the machine was booted: no pod is left
        (1000.0 + 3660, "", 500.0 + 60, 0.0),
    ],
)
def test_a_jump_is_what_the_clock_has_moved_more_than_time_has_passed(
    at: float, boot_id: str, boot_seconds: float, jump: float
) -> None:
    assert jump_between(ClockSample(1000.0, "a", 500.0), ClockSample(at, boot_id, boot_seconds)) == jump


def test_what_runs_is_moved_and_what_has_ended_stays() -> None:
    job, effects = decide(RUNNING, ClockMoved(3600.0), 3710.0)
    assert effects == ()
    assert (job.started_at, job.deadline_at, job.created_at) == (3700.0, 4000.0, 90.0)
    assert job.steps == (ENDED, replace(OPEN, requested_at=3703.0, started_at=3704.0, next_attempt_at=3705.0))
    waiting = replace(RUNNING, phase=Phase.QUEUED, status=Status.PENDING, started_at=None, deadline_at=None)
    assert decide(waiting, ClockMoved(3600.0), 0.0) == (waiting, ())
    assert with_clock_moved(replace(RUNNING, status=Status.SUCCESS), 3600.0).deadline_at == 400.0


def test_the_machines_clocks_are_read() -> None:
    before, after = read_clocks(), read_clocks()
    assert before.boot_id == after.boot_id != ""
    assert after.boot_seconds >= before.boot_seconds > 0
    assert jump_between(before, after) == 0.0
