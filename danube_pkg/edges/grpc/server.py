"""The coordinator's gRPC service on a unix socket: authenticate by job token, call one method of Coordination."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorServicer, add_CoordinatorServicer_to_server

from danube_pkg.core.errors import Invalid, PlatformError, Unauthenticated
from danube_pkg.edges.grpc.errors import Context, refuse
from danube_pkg.edges.grpc.messages import job_context, script_failure, step_request, step_result
from danube_pkg.services.jobs.coordination import Coordination

PROTOCOL_VERSIONS = (1,)
"""This server's own and, once there is one, the one before it."""

MESSAGE_BYTES = 8 * 1024**2
STOP_SECONDS = 0.2
"""Clients repeat their calls with the next server, so calls that wait for a step need no more time than this."""

_log = logging.getLogger("danube.grpc")

Answer = TypeVar("Answer")


class CoordinatorServer(CoordinatorServicer):
    """One service object for every job."""

    def __init__(self, service: Coordination) -> None:
        self._service = service

    @asynccontextmanager
    async def serving(self, directory: Path) -> AsyncIterator[None]:
        """Listen on `coordinator.sock` in a directory that is mounted into coordinators' containers only."""
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)  # a socket's path has at most 107 bytes
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
        server.add_insecure_port(f"unix:/proc/self/fd/{descriptor}/coordinator.sock")
        await server.start()
        socket.chmod(0o666)
        try:
            yield
        finally:
            await server.stop(STOP_SECONDS)
            os.close(descriptor)

    # --- the service

    async def Start(self, request: pb.StartRequest, context: Context) -> pb.JobContext:
        job_id = await self._caller(request.protocol_version, context)
        job = await self._answer(context, self._service.context(job_id))
        return job_context(job, request.protocol_version)

    async def FetchSource(self, request: pb.FetchSourceRequest, context: Context) -> AsyncIterator[pb.SourceChunk]:
        job_id = await self._caller(request.protocol_version, context)
        try:
            async for chunk in self._service.source(job_id):
                yield pb.SourceChunk(data=chunk)
        except PlatformError as error:
            await refuse(context, error)

    async def RunStep(self, request: pb.RunStepRequest, context: Context) -> pb.StepResult:
        job_id = await self._caller(request.protocol_version, context)
        return await self._answer(context, self._run_step(job_id, request))

    async def _run_step(self, job_id: str, request: pb.RunStepRequest) -> pb.StepResult:
        return step_result(await self._service.run_step(job_id, step_request(request)))

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
        await self._answer(context, self._service.finish(job_id, script_failure(request)))
        return pb.FinishReply()

    # --- common to all calls

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
            await refuse(context, error)

    async def _answer(self, context: Context, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except PlatformError as error:
            await refuse(context, error)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug ends its call, not the server
            _log.exception("call-failed")
            await refuse(context, PlatformError("internal-error", "the server failed", cause=type(error).__name__))
