"""The coordinator's connection to its server: every call is repeated, with the same sequence, until it gets a response.

An unreachable server is not a failure: the call is retried with backoff until the job's deadline. Only permanent
refusals reach the danubefile, as a DanubeError.
"""

import itertools
import json
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
from danube._errors import DanubeError
from danube._junit import JunitReport
from danube._process import refuse_in_child
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub
from danube._results import SERVER_LOST, StepResult
from danube._session import CacheCall, Chunks, DownloadCall, Grant, NoteCall, StepCall

from danube_pkg.kit.backoff import Backoff
from danube_pkg.pod.downloads import write_download
from danube_pkg.pod.only_step import OnlyStep
from danube_pkg.pod.own_process import monotonic, now, pause, say
from danube_pkg.pod.server_connection import ServerConnection
from danube_pkg.pod.step_messages import step_request, step_result

PROTOCOL_VERSION = 1
RETRY_CAP_SECONDS = 1.0
"""The longest pause between two attempts: a restarted server is found again within it."""

NOTICE_SECONDS = 5.0
"""A server that restarts is back before it; what lasts longer is printed, and is in the log once the server is back."""

UPLOADS_AT_ONCE = 4
SECRETS_AT_ONCE = 8
CACHES_AT_ONCE = 2
"""Threads of a danubefile wait for one another, since the server refuses calls above its bounds."""

Response = TypeVar("Response")


class CoordinatorClient:
    """`danube._session.Session` over gRPC."""

    def __init__(self, connection: ServerConnection, workspace: str, leg_workspaces: str = "") -> None:
        self._channel, token = connection.channel(), connection.token
        self._stub = CoordinatorStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._workspace = workspace
        self._leg_workspaces = leg_workspaces
        self._counters: dict[str, Iterator[int]] = {}
        self._lock = threading.Lock()
        self._uploads = threading.BoundedSemaphore(UPLOADS_AT_ONCE)
        self._secrets = threading.BoundedSemaphore(SECRETS_AT_ONCE)
        self._caches = threading.BoundedSemaphore(CACHES_AT_ONCE)
        self._deadline_at = now() + 3600
        self._approvals = 0
        """Waits for approvals, which do not count for the deadline."""
        self._context: Mapping[str, Any] = {}
        self.only_step = OnlyStep("")

    @property
    def context(self) -> Mapping[str, Any]:
        return self._context

    @property
    def workspace(self) -> str:
        return self._workspace

    @property
    def leg_workspaces(self) -> str:
        return self._leg_workspaces

    @property
    def is_partial(self) -> bool:
        return self.only_step.has_left_out

    def next_sequence(self, kind: str) -> int:
        with self._lock:
            return next(self._counters.setdefault(kind, itertools.count(1)))

    # --- calls

    def start(self) -> None:
        """Fetch the job's context and deadline."""
        request = pb.StartRequest(protocol_version=PROTOCOL_VERSION)
        response = self._repeat(lambda: self._stub.Start(request, metadata=self._metadata))
        self._deadline_at = response.deadline_at
        self.only_step = OnlyStep(response.only_step)
        self._context = {
            **{field.name: getattr(response, field.name) for field in response.DESCRIPTOR.fields},
            "params": dict(response.params),
            "pull_request": json.loads(response.pull_request_json) if response.pull_request_json else None,
        }

    def fetch_source(self, unpack: Callable[[Iterator[bytes]], None]) -> None:
        """Stream the source tree into `unpack`, which is called again when the connection is lost."""
        request = pb.FetchSourceRequest(protocol_version=PROTOCOL_VERSION)

        def once() -> None:
            unpack(chunk.data for chunk in self._stub.FetchSource(request, metadata=self._metadata))

        self._repeat(once)

    def run_step(self, call: StepCall) -> StepResult:
        if not self.only_step.wants(call):
            say(f"step {call.name!r} is left out: --step {self.only_step.name}")
            return StepResult(call.name, "success", 0, 0.0, message="left out", sequence=call.sequence, raw_output=b"")
        self.only_step.ask()
        request = step_request(call, PROTOCOL_VERSION)
        return step_result(call, self._repeat(lambda: self._stub.RunStep(request, metadata=self._metadata)))

    def stop_step(self, sequence: int) -> None:
        request = pb.StopStepRequest(protocol_version=PROTOCOL_VERSION, sequence=sequence)
        self._repeat(lambda: self._stub.StopStep(request, metadata=self._metadata))

    def report_tests(self, sequence: int, report: JunitReport) -> None:
        cases = [
            pb.TestCase(
                name=one.name,
                status=one.status,
                seconds=one.seconds,
                message=one.message,
                file=one.file,
                line=one.line,
            )
            for one in report.named()
        ]
        request = pb.TestReport(
            protocol_version=PROTOCOL_VERSION,
            sequence=sequence,
            passed=report.passed,
            failed=report.failed,
            skipped=report.skipped,
            cases=cases,
        )
        self._repeat(lambda: self._stub.ReportTests(request, metadata=self._metadata))

    def add_note(self, call: NoteCall) -> None:
        coverage = call.coverage
        request = pb.Note(
            protocol_version=PROTOCOL_VERSION,
            sequence=call.sequence,
            summary=call.summary,
            coverage=pb.Coverage(
                name=coverage.name,
                covered=coverage.covered,
                total=coverage.total,
                files=[pb.FileCoverage(file=file, covered=done, total=all_) for file, done, all_ in coverage.files],
            )
            if coverage is not None
            else None,
            annotations=[
                pb.Annotation(level=one.level, message=one.message, file=one.file, line=one.line)
                for one in call.annotations
            ],
        )
        self._repeat(lambda: self._stub.AddNote(request, metadata=self._metadata))

    def read_secret(self, sequence: int, key: str) -> bytes:
        request = pb.ReadSecretRequest(protocol_version=PROTOCOL_VERSION, sequence=sequence, key=key)
        with self._secrets:
            return self._repeat(lambda: self._stub.ReadSecret(request, metadata=self._metadata)).value

    def id_token(self, sequence: int, audience: str) -> str:
        request = pb.IdTokenRequest(protocol_version=PROTOCOL_VERSION, sequence=sequence, audience=audience)
        with self._secrets:
            return self._repeat(lambda: self._stub.IssueIdToken(request, metadata=self._metadata)).value

    def ask_for_environment(self, sequence: int, environment: str, timeout_seconds: int) -> Grant:
        """Returns when the job continues; at once where one step alone runs, since no other may run after it."""
        if not self.only_step.name:
            return self._ask_for_environment(sequence, environment, timeout_seconds)
        self.only_step.postpone(environment, lambda: self._ask_for_environment(sequence, environment, timeout_seconds))
        return Grant("danube run --step", now(), "")

    def _ask_for_environment(self, sequence: int, environment: str, timeout_seconds: int) -> Grant:
        """This process is frozen meanwhile, so that the connection may be lost."""
        request = pb.EnvironmentRequest(
            protocol_version=PROTOCOL_VERSION,
            sequence=sequence,
            environment=environment,
            timeout_seconds=timeout_seconds,
        )

        def unsupported() -> pb.EnvironmentGrant:
            what = "the server is of an older release, which has no approvals in a pipeline"
            raise DanubeError("approval-unsupported", what, hint="upgrade the server: danube upgrade")

        self._approvals += 1
        try:
            grant = self._repeat(_call(self._stub.AskForEnvironment, request, self._metadata, unsupported))
            self._deadline_at = grant.deadline_at
        finally:
            self._approvals -= 1
        return Grant(grant.approved_by, grant.approved_at, grant.reason)

    def restore_cache(self, call: CacheCall) -> tuple[str, str, int]:
        return self._cache(self._stub.RestoreCache, call)

    def save_cache(self, call: CacheCall) -> tuple[str, str, int]:
        return self._cache(self._stub.SaveCache, call)

    def _cache(self, method: Callable[..., pb.CacheReply], call: CacheCall) -> tuple[str, str, int]:
        """Outcome, key and size. A server of an older release has no caches."""
        request = pb.CacheRequest(
            protocol_version=PROTOCOL_VERSION,
            sequence=call.sequence,
            name=call.name,
            key=call.key,
            paths=call.paths,
            fallback=call.fallback,
            image=call.image,
        )

        with self._caches:
            reply = self._repeat(_call(method, request, self._metadata, lambda: pb.CacheReply(outcome="off")))
        return reply.outcome, reply.key, reply.size_bytes

    def upload(self, sequence: int, name: str, file_name: str, chunks: Chunks, describes: str = "") -> None:
        """Raises what `chunks` raises, such as DanubeError for a file that cannot be read."""
        failed: list[Exception] = []

        def messages() -> Iterator[pb.ArtifactChunk]:
            yield pb.ArtifactChunk(
                protocol_version=PROTOCOL_VERSION,
                sequence=sequence,
                name=name,
                file_name=file_name,
                describes=describes,
            )
            try:
                for data in chunks():
                    yield pb.ArtifactChunk(data=data)
            except Exception as error:
                failed.append(error)
                raise  # gRPC cancels the call, so that the server keeps nothing

        def call() -> pb.Artifact:
            try:
                return self._stub.UploadArtifact(messages(), metadata=self._metadata)
            except grpc.RpcError:
                if failed:  # it would be taken for a lost connection, and repeated
                    raise failed[0] from None
                raise

        with self._uploads:
            self._repeat(call)

    def download(self, call: DownloadCall, directory: Path) -> Path:
        request = pb.DownloadRequest(
            protocol_version=PROTOCOL_VERSION,
            sequence=call.sequence,
            name=call.name,
            job=call.job,
            pipeline=call.pipeline,
            branch=call.branch,
            allow_untrusted=call.allow_untrusted,
        )

        def fetch(write: Callable[[Iterator[pb.ArtifactPart]], None]) -> None:
            self._repeat(lambda: write(iter(self._stub.DownloadArtifact(request, metadata=self._metadata))))

        with self._uploads:
            return write_download(call.name, call.sequence, directory, fetch)

    def finish(self, *, success: bool, reason: str = "", message: str = "", step: int = 0) -> None:
        request = pb.FinishRequest(
            protocol_version=PROTOCOL_VERSION, success=success, reason=reason, message=message, step=step
        )
        self._repeat(lambda: self._stub.Finish(request, metadata=self._metadata))

    def _repeat(self, call: Callable[[], Response]) -> Response:
        refuse_in_child()
        backoff = Backoff(0.05, RETRY_CAP_SECONDS, _random)
        notice_at: float | None = None
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                refusal = _refusal(error)
                if refusal is not None:
                    raise refusal from None
                if notice_at is None:
                    notice_at = monotonic() + NOTICE_SECONDS
                if monotonic() >= notice_at:
                    _print_notice(error)
                    notice_at = math.inf
                if now() > self._deadline_at and not self._approvals:
                    what = "the server was unreachable until the job's deadline"
                    raise DanubeError(SERVER_LOST, what, hint="run the job again: danube rerun JOB") from None
            pause(backoff.next())


def _call(
    method: Callable[..., Response], request: Any, metadata: Any, unsupported: Callable[[], Response]
) -> Callable[[], Response]:
    """One attempt. unsupported: instead, with a server of a release that does not have the method."""

    def once() -> Response:
        try:
            return method(request, metadata=metadata)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
        return unsupported()

    return once


def _random() -> float:
    """In [0, 1). The module `random` would be imported in each job, for the few that lose their server."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def _print_notice(error: grpc.RpcError) -> None:
    """Into the job's log: why the danubefile does not proceed. Once for each call."""
    problem = _problem(error)
    why = f"{problem.what}{': ' if problem.cause else ''}{problem.cause}" if problem else str(error.details())
    say(f"danube: waiting for the server, until the job's deadline: {why}")


def _problem(error: grpc.RpcError) -> pb.Problem | None:
    """The server's error; None where the connection failed."""
    trailing = cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ())
    data = dict(trailing).get("danube-problem-bin")
    return pb.Problem.FromString(data) if isinstance(data, bytes) else None


def _refusal(error: grpc.RpcError) -> DanubeError | None:
    """The server's permanent refusal; None for a failure that a repeated call may not have."""
    problem = _problem(error)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and problem is None:  # by gRPC itself
        return DanubeError(
            "call-too-large",
            "the call is larger than the server accepts",
            cause=str(error.details()),
            hint="put the script, or a large value, into a file of the repository",
        )
    if error.code() is grpc.StatusCode.UNAVAILABLE or problem is None:
        return None
    return DanubeError(problem.reference, problem.what, cause=problem.cause, hint=problem.hint)
