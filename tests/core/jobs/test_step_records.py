"""The end of a step: its own exit code, its own signal, and memory as a reason only where it was the cause."""

import pytest

from danube_pkg.core.jobs.step_records import end_of_step
from danube_pkg.core.jobs.steps import Step, describe_end
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.supervisor import StepRecord
from danube_pkg.kit.records import replace

STEP = Step("j.1", 1, "Test", "host")
NOTE = "1 process of its container, which other steps may share, was killed for memory"


def record(exit_code: int | None = None, signal: int | None = None) -> StepRecord:
    return StepRecord("j.1", 1, exit_code, signal, False, False, "", 1, 1, 1, 1, 0, bytes(32), 0)


@pytest.mark.parametrize(
    ("exit_code", "signal", "kills", "reason", "described"),
    [
        (3, None, 0, Reason.STEP_FAILED, "failed with exit code 3"),
        (3, None, 1, Reason.STEP_FAILED, f"failed with exit code 3; {NOTE}"),
        (None, 11, 1, Reason.STEP_FAILED, f"was ended by SIGSEGV; {NOTE}"),
        (None, 9, 1, Reason.OUT_OF_MEMORY, "was killed by the kernel: its container was out of memory"),
        (137, None, 2, Reason.OUT_OF_MEMORY, "was killed by the kernel: its container was out of memory"),
        (None, 6, 0, Reason.STEP_FAILED, "was ended by SIGABRT"),
        (None, 200, 0, Reason.STEP_FAILED, "was ended by signal 200"),
        (139, None, 0, Reason.STEP_FAILED, "failed with exit code 139, which a shell returns for SIGSEGV"),
        (129 + 64, None, 0, Reason.STEP_FAILED, "failed with exit code 193"),
        (255, None, 0, Reason.STEP_FAILED, "failed with exit code 255"),
    ],
)
def test_a_failure_has_its_own_reason(
    exit_code: int | None, signal: int | None, kills: int, reason: Reason, described: str
) -> None:
    end = end_of_step(STEP, record(exit_code, signal), memory_kills=kills)
    assert (end.status, end.reason, describe_end(end)) == (Status.FAILURE, reason, described)


@pytest.mark.parametrize(("exit_code", "signal"), [(None, 9), (137, None)])
def test_a_kill_that_no_counter_explains_says_where_its_cause_is(exit_code: int | None, signal: int | None) -> None:
    end = end_of_step(STEP, record(exit_code, signal), memory_kills=0)
    assert end.reason is Reason.STEP_FAILED
    assert end.message.endswith("SIGKILL (if the kernel sent it for lack of memory, journalctl -k says so)")


def test_a_success_with_a_killed_process_is_a_success_with_a_note() -> None:
    end = end_of_step(STEP, record(0), memory_kills=1)
    assert (end.status, end.reason, end.message, describe_end(end)) == (Status.SUCCESS, Reason.NONE, NOTE, "succeeded")


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (1, "1 process that it left in the background was ended (use step.service)"),
        (3, "3 processes that it left in the background were ended (use step.service)"),
    ],
)
def test_a_success_says_that_processes_in_the_background_were_ended(left: int, message: str) -> None:
    end = end_of_step(STEP, replace(record(0), leftovers=left), memory_kills=0)
    assert (end.status, end.message) == (Status.SUCCESS, message)
