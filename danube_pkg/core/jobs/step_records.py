"""The end of a step from a supervisor's authentic record: the only source of a success."""

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.supervisor import StepRecord


def end_of_step(step: Step, record: StepRecord, *, memory_kills: int, workspace_full: str = "") -> StepEnd:
    """memory_kills: processes of the container that the kernel killed for lack of memory while the step ran.
    workspace_full: why the pod's disk is full, "" where it is not known to be."""
    status, reason, message = _judge(step, record, memory_kills, workspace_full)
    return StepEnd(
        status=status,
        reason=reason,
        message=message,
        exit_code=record.exit_code,
        signal=record.signal or None,
        wall_us=record.wall_us,
        user_us=record.user_us,
        system_us=record.system_us,
        peak_memory_bytes=record.peak_memory_bytes,
        output_bytes=record.output_bytes,
        output_hash=record.output_hash.hex(),
    )


def _judge(step: Step, record: StepRecord, memory_kills: int, workspace_full: str) -> tuple[Status, Reason, str]:
    if record.start_error:
        return Status.FAILURE, Reason.COMMAND_NOT_STARTED, f"could not be started: {record.start_error}"
    if record.timed_out:
        return Status.TIMEOUT, Reason.STEP_TIMEOUT, f"took longer than its {step.timeout_seconds} s and was ended"
    if record.killed:
        return Status.CANCELLED, Reason.CANCELLED, "was stopped"
    if record.exit_code == 0 and not record.signal:
        return Status.SUCCESS, Reason.NONE, ""
    if memory_kills > 0:
        return Status.FAILURE, Reason.OUT_OF_MEMORY, "was killed by the kernel: its container was out of memory"
    if workspace_full:
        return Status.FAILURE, Reason.WORKSPACE_FULL, f"failed when the disk was full: {workspace_full}"
    return Status.FAILURE, Reason.STEP_FAILED, ""


def lost_end(message: str) -> StepEnd:
    """The end of a step whose record is missing or not authentic."""
    return StepEnd(status=Status.FAILURE, reason=Reason.INFRASTRUCTURE_LOST, message=message)
