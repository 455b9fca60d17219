"""The coordinator's gRPC service on a unix socket: authenticate by job token, translate, call one method of Coordination."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorServicer, add_CoordinatorServicer_to_server

from danube_pkg.core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PlatformError,
    Retryable,
    TooLarge,
    Unauthenticated,
)
from danube_pkg.core.jobs.coordination import (
    MAX_COMMAND_BYTES,
    MAX_ENVIRONMENT_BYTES,
    StepOutcome,
    StepRequest,
)
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.steps import MAX_RETRIES
from danube_pkg.core.reasons import Reason, reason_named
from danube_pkg.services.jobs.coordination import Coordination

PROTOCOL_VERSIONS = (1,)
"""This server's own and, once there is one, the one before it."""

MESSAGE_BYTES = 8 * 1024**2
STOP_SECONDS = 0.2
"""Clients repeat their calls to the next server; nothing is gained by waiting for a step of an hour."""

_CODES: tuple[tuple[type[PlatformError], grpc.StatusCode], ...] = (
    (Retryable, grpc.StatusCode.UNAVAILABLE),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (TooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Invalid, grpc.StatusCode.INVALID_ARGUMENT),
)

_log = logging.getLogger("danube.grpc")

Answer = TypeVar("Answer")
Context = Any
"""`grpc.aio.ServicerContext`, whose type parameters differ between the stubs."""


class CoordinatorServer(CoordinatorServicer):
    """One service object for every job."""

    def __init__(self, service: Coordination) -> None:
        self._service = service

    @asynccontextmanager
    async def serving(self, directory: Path) -> AsyncIterator[None]:
        """Listen on `coordinator.sock` in a directory that only coordinators' containers see."""
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            )
        )
        add_CoordinatorServicer_to_server(self, server)  # type: ignore[no-untyped-call,unused-ignore]
        socket = directory / "coordinator.sock"
        with contextlib.suppress(FileNotFoundError):
            socket.unlink()
        server.add_insecure_port(f"unix:/proc/self/fd/{place}/coordinator.sock")
        await server.start()
        socket.chmod(0o666)
        try:
            yield
        finally:
            await server.stop(STOP_SECONDS)
            os.close(place)

    # --- the service

    async def Start(self, request: pb.StartRequest, context: Context) -> pb.JobContext:
        job_id = await self._caller(request.protocol_version, context)
        job = await self._answer(context, self._service.context(job_id))
        return pb.JobContext(
            protocol_version=request.protocol_version,
            job_id=job.job_id,
            pipeline=job.pipeline,
            repository=job.repository,
            script=job.script,
            trigger=job.trigger,
            ref=job.ref,
            branch=job.branch,
            tag=job.tag,
            commit_sha=job.commit_sha,
            params=job.params,
            pull_request_json=json.dumps(job.pull_request) if job.pull_request else "",
            deadline_at=job.deadline_at,
            default_image=job.default_image,
        )

    async def FetchSource(self, request: pb.FetchSourceRequest, context: Context) -> AsyncIterator[pb.SourceChunk]:
        job_id = await self._caller(request.protocol_version, context)
        try:
            async for chunk in self._service.source(job_id):
                yield pb.SourceChunk(data=chunk)
        except PlatformError as error:
            await _refuse(context, error)

    async def RunStep(self, request: pb.RunStepRequest, context: Context) -> pb.StepResult:
        job_id = await self._caller(request.protocol_version, context)
        return await self._answer(context, self._run_step(job_id, request))

    async def _run_step(self, job_id: str, request: pb.RunStepRequest) -> pb.StepResult:
        return _step_result(await self._service.run_step(job_id, _step_request(request)))

    async def ReadSecret(self, request: pb.ReadSecretRequest, context: Context) -> pb.Secret:
        job_id = await self._caller(request.protocol_version, context)
        value = await self._answer(context, self._service.read_secret(job_id, request.sequence, request.key))
        return pb.Secret(value=value)

    async def UploadArtifact(self, request_iterator: AsyncIterator[pb.ArtifactChunk], context: Context) -> pb.Artifact:
        first = await anext(request_iterator)
        job_id = await self._caller(first.protocol_version, context)

        async def chunks() -> AsyncIterator[bytes]:
            async for message in request_iterator:
                yield message.data

        kept = self._service.receive_artifact(job_id, first.sequence, first.name, first.file_name, chunks())
        artifact = await self._answer(context, kept)
        return pb.Artifact(name=artifact.name, size_bytes=artifact.size_bytes, sha256=artifact.sha256)

    async def Finish(self, request: pb.FinishRequest, context: Context) -> pb.FinishReply:
        job_id = await self._caller(request.protocol_version, context)
        failure = None
        if not request.success:
            reason = reason_named(request.reason, Reason.SCRIPT_ERROR)
            failure = ScriptFailure(reason, request.message, request.step)
        await self._answer(context, self._service.finish(job_id, failure))
        return pb.FinishReply()

    # --- what every call has

    async def _caller(self, version: int, context: Context) -> str:
        """The job whose token the call carries."""
        try:
            if version not in PROTOCOL_VERSIONS:
                raise Invalid(
                    "protocol-version",
                    f"this server speaks protocol {PROTOCOL_VERSIONS[0]}, the coordinator {version}",
                    hint="use the coordinator of the same release",
                )
            words = str(dict(context.invocation_metadata()).get("authorization", "")).split()
            if len(words) != 2 or words[0] != "Bearer":
                raise Unauthenticated("job-token-missing", "the call carries no job token")
            return self._service.authenticate(words[1])
        except PlatformError as error:
            await _refuse(context, error)

    async def _answer(self, context: Context, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except PlatformError as error:
            await _refuse(context, error)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug answers its call, and the server goes on
            _log.exception("call-failed")
            await _refuse(context, PlatformError("internal-error", "the server failed", cause=type(error).__name__))


async def _refuse(context: Context, error: PlatformError) -> NoReturn:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    problem = pb.Problem(reference=error.reference, what=error.what, cause=error.cause, hint=error.hint)
    metadata = (("danube-problem-bin", problem.SerializeToString()),)
    await context.abort(code, error.reference, trailing_metadata=metadata)
    raise AssertionError("abort raises")


def _step_request(request: pb.RunStepRequest) -> StepRequest:
    environment_bytes = sum(len(key) + len(value) for key, value in request.environment.items())
    if len(request.command) > MAX_COMMAND_BYTES or environment_bytes > MAX_ENVIRONMENT_BYTES:
        raise TooLarge(
            "step-too-large",
            f"command or environment of step {request.sequence} is larger than {MAX_COMMAND_BYTES} bytes",
            hint="put the script into a file of the repository and run that",
        )
    if request.sequence < 1 or request.retries > MAX_RETRIES:
        raise Invalid("step-invalid", f"a step's sequence counts from 1 and it has at most {MAX_RETRIES} retries")
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
    )


def _step_result(outcome: StepOutcome) -> pb.StepResult:
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
