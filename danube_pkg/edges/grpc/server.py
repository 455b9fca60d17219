"""The coordinator's gRPC service on a unix socket: authenticate by job token, call one method of Coordination.

`network` brings the connections of coordinators in a cluster to that socket.
"""

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from danube._proto import coordinator_pb2 as pb
from google.protobuf.message import Message

from danube_pkg.core.caches.cache import CacheRequest
from danube_pkg.core.errors import Invalid, PlatformError, Unauthenticated
from danube_pkg.core.jobs.coordination import MAX_STEP_BYTES, StepRequest
from danube_pkg.core.jobs.events import EnvironmentRequested, ScriptFailure
from danube_pkg.core.jobs.report_notes import ReportNote
from danube_pkg.core.jobs.reports import JobReport
from danube_pkg.core.reasons import HINTS, Reason
from danube_pkg.core.runtimes.coordinator_protocol import SUPPORTED_PROTOCOLS
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.edges.grpc.calls import END_OF_STREAM, MAX_CALLS, Calls, received
from danube_pkg.edges.grpc.errors import Context, refuse
from danube_pkg.edges.grpc.messages import (
    artifact_upload,
    cache_reply,
    cache_request,
    download_request,
    environment_grant,
    environment_request,
    id_token_request,
    job_context,
    report_note,
    script_failure,
    secret_request,
    start_version,
    step_request,
    step_result,
    stopped_step,
    tests_reported,
)
from danube_pkg.edges.grpc.network import CoordinatorPort, NetworkListener
from danube_pkg.kit.named_peers import peer_name
from danube_pkg.services.jobs.coordination import Coordination

MESSAGE_BYTES = MAX_STEP_BYTES + 128 * 1024
"""A step's command and environment, and the other fields. gRPC refuses a larger message unread."""

SENT_BYTES = 8 * 1024**2
CONNECTIONS = 1000
"""The bound of all coordinators together, each of which needs one."""

IDLE_MILLISECONDS = 20_000
"""A connection without an open call is closed after this; the coordinator connects again with its next call. So
connections are bounded by the calls that are counted for each job."""
STOP_SECONDS = 0.2
"""Clients repeat their calls with the next server, so calls that wait for a step need no more time than this."""

_log = logging.getLogger("danube.grpc")

Parsing = Callable[[Any], Any]
"""From a message to what it says; raises PlatformError."""

Answering = Callable[[str, Any], Awaitable[Message]]
"""From the job's id and what a message says to the response."""


class CoordinatorServer:
    """One service object for every job."""

    def __init__(self, service: Coordination, pods: PodAddresses | None = None) -> None:
        self._service = service
        self._pods = pods or PodAddresses()
        self._calls = Calls()

    @asynccontextmanager
    async def serving(self, directory: Path, listener: NetworkListener | None = None) -> AsyncIterator[str]:
        """Listen on `coordinator.sock` in a directory that is mounted into coordinators' containers only, and on an
        address for those of a cluster. Gives the address, "" without one. Raises Permanent where it cannot be used."""
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)  # a socket's path has at most 107 bytes
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", SENT_BYTES),
                ("grpc.max_concurrent_streams", MAX_CALLS),
                ("grpc.max_metadata_size", 8 * 1024),
                ("grpc.max_allowed_incoming_connections", CONNECTIONS),
                ("grpc.max_connection_idle_ms", IDLE_MILLISECONDS),
                ("grpc.server_handshake_timeout_ms", IDLE_MILLISECONDS),
                ("grpc.http2.bdp_probe", 0),  # a stream's window must not grow by itself
                ("grpc.so_reuseport", 0),
            )
        )
        server.add_generic_rpc_handlers((self._handlers(),))
        socket = directory / "coordinator.sock"
        with contextlib.suppress(FileNotFoundError):
            socket.unlink()
        server.add_insecure_port(f"unix:/proc/self/fd/{descriptor}/coordinator.sock")
        await server.start()
        socket.chmod(0o666)
        try:
            if listener is None:
                yield ""
            else:
                port = CoordinatorPort(listener, f"/proc/self/fd/{descriptor}/{socket.name}")
                async with port.serving():
                    yield port.address
        finally:
            await server.stop(STOP_SECONDS)
            os.close(descriptor)

    # --- the service

    def _handlers(self) -> Any:
        """Every call is taken as a stream of requests, so that its message is read when it may be."""

        def one(name: str, parse: Parsing, answer: Answering, request: type[Message]) -> Any:
            return grpc.stream_unary_rpc_method_handler(
                self._one(name, parse, answer),
                request_deserializer=request.FromString,
                response_serializer=_serialize,
            )

        handlers = {
            "Start": one("Start", start_version, self._start, pb.StartRequest),
            "RunStep": one("RunStep", step_request, self._run_step, pb.RunStepRequest),
            "StopStep": one("StopStep", stopped_step, self._stop_step, pb.StopStepRequest),
            "ReadSecret": one("ReadSecret", secret_request, self._read_secret, pb.ReadSecretRequest),
            "IssueIdToken": one("IssueIdToken", id_token_request, self._issue_id_token, pb.IdTokenRequest),
            "AskForEnvironment": one(
                "AskForEnvironment", environment_request, self._ask_for_environment, pb.EnvironmentRequest
            ),
            "RestoreCache": one("RestoreCache", cache_request, self._restore_cache, pb.CacheRequest),
            "SaveCache": one("SaveCache", cache_request, self._save_cache, pb.CacheRequest),
            "ReportTests": one("ReportTests", tests_reported, self._report_tests, pb.TestReport),
            "AddNote": one("AddNote", report_note, self._add_note, pb.Note),
            "Finish": one("Finish", script_failure, self._finish, pb.FinishRequest),
            "UploadArtifact": grpc.stream_unary_rpc_method_handler(
                self._upload_artifact,
                request_deserializer=pb.ArtifactChunk.FromString,
                response_serializer=_serialize,
            ),
            "DownloadArtifact": grpc.stream_stream_rpc_method_handler(
                self._download_artifact,
                request_deserializer=pb.DownloadRequest.FromString,
                response_serializer=_serialize,
            ),
            "FetchSource": grpc.stream_stream_rpc_method_handler(
                self._fetch_source,
                request_deserializer=pb.FetchSourceRequest.FromString,
                response_serializer=_serialize,
            ),
        }
        return grpc.method_handlers_generic_handler("danube.v1.Coordinator", handlers)

    def _one(
        self, method: str, parse: Parsing, answer: Answering
    ) -> Callable[[AsyncIterator[Message], Context], Awaitable[Message]]:
        """A call with one message and one response. No variable holds the message while the call waits."""

        async def answered(context: Context) -> Message:
            job_id = self._caller(context)
            with self._calls.counted(job_id, method) as calls:
                message = await received(context, calls)
                if message.protocol_version not in SUPPORTED_PROTOCOLS:  # its job could only wait for its deadline
                    failure = ScriptFailure(Reason.COORDINATOR_VERSION, _mismatch(message), 0)
                    await self._service.finish(job_id, failure)
                return await answer(job_id, parse(_checked(message)))

        async def call(messages: AsyncIterator[Message], context: Context) -> Message:
            try:
                return await answered(context)
            except Exception as error:  # noqa: BLE001 - a bug ends its call, not the server
                refusal = _refusal(error)
            return await refuse(context, refusal)

        return call

    async def _start(self, job_id: str, version: int) -> pb.JobContext:
        return job_context(await self._service.context(job_id), version)

    async def _run_step(self, job_id: str, request: StepRequest) -> pb.StepResult:
        return step_result(await self._service.run_step(job_id, request))

    async def _stop_step(self, job_id: str, sequence: int) -> pb.StopStepReply:
        await self._service.stop_step(job_id, sequence)
        return pb.StopStepReply()

    async def _read_secret(self, job_id: str, read: tuple[int, str]) -> pb.Secret:
        return pb.Secret(value=await self._service.read_secret(job_id, *read))

    async def _issue_id_token(self, job_id: str, audience: str) -> pb.IdToken:
        return pb.IdToken(value=await self._service.issue_id_token(job_id, audience))

    async def _ask_for_environment(self, job_id: str, asked: EnvironmentRequested) -> pb.EnvironmentGrant:
        return environment_grant(*await self._service.ask_for_environment(job_id, asked))

    async def _restore_cache(self, job_id: str, request: CacheRequest) -> pb.CacheReply:
        return cache_reply(await self._service.restore_cache(job_id, request))

    async def _save_cache(self, job_id: str, request: CacheRequest) -> pb.CacheReply:
        return cache_reply(await self._service.save_cache(job_id, request))

    async def _report_tests(self, job_id: str, report: JobReport) -> pb.TestReportReply:
        await self._service.report_tests(job_id, report)
        return pb.TestReportReply()

    async def _add_note(self, job_id: str, note: ReportNote) -> pb.NoteReply:
        await self._service.add_note(job_id, note)
        return pb.NoteReply()

    async def _finish(self, job_id: str, failure: ScriptFailure | None) -> pb.FinishReply:
        await self._service.finish(job_id, failure)
        return pb.FinishReply()

    async def _upload_artifact(self, messages: AsyncIterator[pb.ArtifactChunk], context: Context) -> pb.Artifact:
        async def chunks() -> AsyncIterator[bytes]:
            while (message := await context.read()) is not END_OF_STREAM:
                yield message.data

        async def kept() -> pb.Artifact:
            job_id = self._caller(context)
            with self._calls.counted(job_id, "UploadArtifact") as calls:
                sequence, name, file, describes = artifact_upload(_checked(await received(context, calls)))
                artifact = await self._service.receive_artifact(job_id, sequence, name, file, chunks(), describes)
                return pb.Artifact(name=artifact.name, size_bytes=artifact.size_bytes, sha256=artifact.sha256)

        try:
            return await kept()
        except Exception as error:  # noqa: BLE001 - as above
            refusal = _refusal(error)
        return await refuse(context, refusal)

    async def _download_artifact(
        self, messages: AsyncIterator[pb.DownloadRequest], context: Context
    ) -> AsyncIterator[pb.ArtifactPart]:
        try:
            job_id = self._caller(context)
            with self._calls.counted(job_id, "DownloadArtifact") as calls:
                request = download_request(_checked(await received(context, calls)))
                download = await self._service.download_artifact(job_id, request)
                artifact = download.artifact
                yield pb.ArtifactPart(
                    file_name=artifact.file_name,
                    sha256=artifact.sha256,
                    size_bytes=artifact.size_bytes,
                    job=artifact.job_id,
                )
                async for chunk in download.chunks():
                    yield pb.ArtifactPart(data=chunk)
            return
        except Exception as error:  # noqa: BLE001 - as above
            refusal = _refusal(error)
        await refuse(context, refusal)

    async def _fetch_source(
        self, messages: AsyncIterator[pb.FetchSourceRequest], context: Context
    ) -> AsyncIterator[pb.SourceChunk]:
        try:
            job_id = self._caller(context)
            with self._calls.counted(job_id, "FetchSource") as calls:
                _checked(await received(context, calls))
                async for chunk in self._service.source(job_id):
                    yield pb.SourceChunk(data=chunk)
            return
        except Exception as error:  # noqa: BLE001 - as above
            refusal = _refusal(error)
        await refuse(context, refusal)

    def _caller(self, context: Context) -> str:
        words = str(dict(context.invocation_metadata()).get("authorization", "")).split()
        if len(words) != 2 or words[0] != "Bearer":
            raise Unauthenticated("job-token-missing", "the call carries no job token")
        job_id = self._service.authenticate(words[1])
        address = peer_name(context.peer())
        owner = self._pods.job_at(address) if address else None
        if owner not in (None, job_id):
            raise Unauthenticated(
                "job-token-foreign",
                "the job token is that of another job",
                cause=f"the call comes from the pod of job {owner}",
                hint="a job can only use its own token",
            )
        return job_id


def _checked(request: Any) -> Any:
    """The message, if it is of a protocol that this server speaks. Raises Invalid."""
    if request.protocol_version not in SUPPORTED_PROTOCOLS:
        raise Invalid(Reason.COORDINATOR_VERSION.value, _mismatch(request), hint=HINTS[Reason.COORDINATOR_VERSION])
    return request


def _mismatch(request: Any) -> str:
    spoken = ", ".join(map(str, SUPPORTED_PROTOCOLS))
    return f"this server speaks protocol {spoken}, the coordinator {request.protocol_version}"


def _refusal(error: Exception) -> PlatformError:
    """The error to send. It does not refer to the frames of the call any more, which hold the call's message."""
    if isinstance(error, grpc.aio.BaseError):
        raise error
    if not isinstance(error, PlatformError):
        _log.error("call-failed", exc_info=error)
        return PlatformError("internal-error", "the server failed", cause=type(error).__name__)
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
