"""The end of a step from a supervisor's authentic record: the only source of a success. The record is this job's, or
one that another job's signed statement has.

A step's reason is its own. The container's count of kills for memory is shared by all steps that run in it, so it is
the reason only of a step that a SIGKILL has ended; for any other it is a note.
"""

import signal

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.supervisor import StepRecord
from danube_pkg.kit.signals import signal_name

SHELL_SIGNAL_BASE = 128
"""A shell returns 128 + n when signal n has ended its command (POSIX.1-2017, XCU 2.8.2)."""

_NAMED = {int(one) for one in signal.Signals if one <= signal.SIGSYS}
"""Signals whose number behind 128 names them; real-time signals are not sent by accident."""


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
        return Status.SUCCESS, Reason.NONE, "; ".join(filter(None, (_memory_note(memory_kills), _left_note(record))))
    number = record.signal or 0
    if record.exit_code is not None and record.exit_code - SHELL_SIGNAL_BASE in _NAMED:
        number = record.exit_code - SHELL_SIGNAL_BASE
    if number == signal.SIGKILL and memory_kills > 0:
        return Status.FAILURE, Reason.OUT_OF_MEMORY, "was killed by the kernel: its container was out of memory"
    if workspace_full:
        return Status.FAILURE, Reason.WORKSPACE_FULL, f"failed when the disk was full: {workspace_full}"
    how, note = _how(record, number), _memory_note(memory_kills)
    if note:
        how = f"{how or f'failed with exit code {record.exit_code}'}; {note}"
    return Status.FAILURE, Reason.STEP_FAILED, how


def _how(record: StepRecord, number: int) -> str:
    """The end as a predicate, "" for an exit code that says everything. number: the signal that ended it, or 0."""
    if not number:
        return ""
    ended = f"was ended by {signal_name(number)}"
    if record.exit_code is not None:
        ended = f"failed with exit code {record.exit_code}, which a shell returns for {signal_name(number)}"
    if number == signal.SIGKILL:
        ended += " (if the kernel sent it for lack of memory, journalctl -k says so)"
    return ended


def _memory_note(kills: int) -> str:
    if kills <= 0:
        return ""
    processes = "1 process" if kills == 1 else f"{kills} processes"
    return f"{processes} of its container, which other steps may share, {'was' if kills == 1 else 'were'} killed for memory"


def _left_note(record: StepRecord) -> str:
    """A process in the background ends with its step, which surprises authors who start a service with `&`."""
    if not record.leftovers:
        return ""
    many = record.leftovers > 1
    which = f"{record.leftovers} processes" if many else "1 process"
    return f"{which} that it left in the background {'were' if many else 'was'} ended (use step.service)"


def restored_end(source_job: str, output_bytes: int) -> StepEnd:
    """The end of a step whose snapshot was restored. The caller has verified that the signed records of that job have a
    step that ended with an authentic success and left exactly this snapshot. It has no record of its own."""
    message = f"was restored from job {source_job}"
    return StepEnd(status=Status.SUCCESS, message=message, exit_code=0, output_bytes=output_bytes)


def lost_end(message: str) -> StepEnd:
    """The end of a step whose record is missing or not authentic."""
    return StepEnd(status=Status.FAILURE, reason=Reason.INFRASTRUCTURE_LOST, message=message)
