"""The messages of one step, from and to the SDK's values."""

from danube._proto import coordinator_pb2 as pb
from danube._results import StepResult
from danube._session import StepCall


def step_request(call: StepCall, protocol_version: int) -> pb.RunStepRequest:
    """The call as it is sent, and repeated after a lost connection."""
    return pb.RunStepRequest(
        protocol_version=protocol_version,
        sequence=call.sequence,
        name=call.name,
        command=call.command,
        image=call.image,
        environment=call.environment,
        working_directory=call.working_directory,
        timeout_seconds=call.timeout_seconds,
        retries=call.retries,
        check=call.check,
        shell=call.shell,
        leg=call.leg,
        isolation=call.isolation,
        retry_delay_seconds=call.retry_delay_seconds,
        retry_on=call.retry_on,
        cleanup=call.cleanup,
        snapshot=call.snapshot,
    )


def step_result(call: StepCall, end: pb.StepResult) -> StepResult:
    """The answer to it."""
    signal = end.signal if end.HasField("signal") else 0
    return StepResult(
        name=call.name,
        status=end.status,
        exit_code=end.exit_code if end.HasField("exit_code") else 128 + signal if signal else -1,
        duration_seconds=end.duration_seconds,
        reason=end.reason,
        message=end.message,
        attempt=end.attempt,
        output_truncated=end.output_truncated,
        sequence=call.sequence,
        raw_output=end.output if end.HasField("output") else None,
        restored_from=end.restored_from,
    )
