"""Messages of the protocol to and from typed values. `proto/coordinator.proto` describes each field."""

import json

from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.errors import Invalid, TooLarge
from danube_pkg.core.jobs.coordination import (
    MAX_ARGUMENT_BYTES,
    MAX_ENVIRONMENT_BYTES,
    MAX_SHELL_BYTES,
    JobContext,
    StepOutcome,
    StepRequest,
)
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.steps import MAX_RETRIES
from danube_pkg.core.reasons import Reason, reason_named

MAX_NAME_SHOWN = 60


def job_context(job: JobContext, protocol_version: int) -> pb.JobContext:
    """The answer to Start."""
    return pb.JobContext(
        protocol_version=protocol_version,
        job_id=job.job_id,
        pipeline=job.pipeline,
        repository=job.repository,
        script=job.script,
        trigger=job.trigger,
        ref=job.revision.ref,
        branch=job.revision.branch,
        tag=job.revision.tag,
        commit_sha=job.revision.commit_sha,
        params=job.params,
        pull_request_json=json.dumps(job.pull_request) if job.pull_request else "",
        deadline_at=job.deadline_at,
        default_image=job.default_image,
    )


def step_request(request: pb.RunStepRequest) -> StepRequest:
    """Raises TooLarge, Invalid."""
    _check_sizes(request)
    if request.sequence < 1 or request.retries > MAX_RETRIES:
        raise Invalid("step-invalid", f"a step's sequence counts from 1 and it has at most {MAX_RETRIES} retries")
    if len(request.shell.encode()) > MAX_SHELL_BYTES or "\0" in request.shell:
        raise Invalid(
            "step-invalid",
            f"the shell of step {request.sequence} is larger than {MAX_SHELL_BYTES} bytes or has a NUL byte",
            hint='name a program and its options: shell="bash -euo pipefail"',
        )
    return StepRequest(
        sequence=request.sequence,
        name=request.name,
        command=request.command,
        image=request.image,
        environment=dict(request.environment),
        working_directory=request.working_directory,
        timeout_seconds=request.timeout_seconds,
        retries=request.retries,
        check=request.check,
        shell=request.shell,
    )


def _check_sizes(request: pb.RunStepRequest) -> None:
    """Raises TooLarge for what the kernel would refuse when the step's program is executed."""
    sizes = {f"the command of step {request.sequence}": len(request.command.encode())}
    for name, value in request.environment.items():
        sizes[f"the variable {name[:MAX_NAME_SHOWN]!r} of step {request.sequence}"] = len(f"{name}={value}".encode())
    for what, size in sizes.items():
        if size > MAX_ARGUMENT_BYTES:
            raise TooLarge(
                "step-too-large",
                f"{what} has {size} bytes; Linux takes at most {MAX_ARGUMENT_BYTES} (128 KiB)",
                hint="put it into a file of the workspace, and let the command read that",
            )
    total = sum(len(f"{name}={value}".encode()) for name, value in request.environment.items())
    if total > MAX_ENVIRONMENT_BYTES:
        raise TooLarge(
            "step-too-large",
            f"the environment of step {request.sequence} has {total} bytes; at most {MAX_ENVIRONMENT_BYTES} are taken",
            hint="put it into a file of the workspace, and let the command read that",
        )


def step_result(outcome: StepOutcome) -> pb.StepResult:
    """The answer to RunStep."""
    end = outcome.end
    return pb.StepResult(
        status=end.status,
        reason=end.reason,
        message=end.message,
        exit_code=end.exit_code,
        signal=end.signal,
        duration_seconds=end.wall_us / 1e6,
        attempt=outcome.attempt,
        output=outcome.output,
        output_truncated=outcome.output_truncated,
    )


def script_failure(request: pb.FinishRequest) -> ScriptFailure | None:
    """None where the pipeline function returned."""
    if request.success:
        return None
    return ScriptFailure(reason_named(request.reason, Reason.SCRIPT_ERROR), request.message, request.step)
