"""The coordinator's calls over gRPC, to a server of the test."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from danube._errors import DanubeError
from danube._proto import coordinator_pb2 as pb
from danube._session import StepCall

from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.only_step import OnlyStep
from danube_pkg.pod.own_process import now
from danube_pkg.pod.server_connection import ServerConnection


class Uploads:
    """Receives artifacts."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def receive(self, messages: Iterator[pb.ArtifactChunk], context: Any) -> pb.Artifact:
        self.received.append(b"".join(message.data for message in messages))
        return pb.Artifact()


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.fixture
def client(tmp_path: Path, uploads: Uploads) -> Iterator[CoordinatorClient]:
    handler = grpc.stream_unary_rpc_method_handler(
        uploads.receive,
        request_deserializer=pb.ArtifactChunk.FromString,
        response_serializer=pb.Artifact.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    handlers = grpc.method_handlers_generic_handler("danube.v1.Coordinator", {"UploadArtifact": handler})
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(f"unix:{tmp_path}/socket")
    server.start()
    yield CoordinatorClient(ServerConnection(f"unix:{tmp_path}/socket", "token"), "/workspace")
    server.stop(None).wait()


def test_an_artifact_is_sent(client: CoordinatorClient, uploads: Uploads) -> None:
    client.upload(1, "a", "a", lambda: iter([b"one ", b"two"]))
    assert uploads.received == [b"one two"]


@pytest.mark.parametrize("error", [DanubeError("artifact-unreadable", "it cannot be read"), OSError("no more")])
def test_what_ends_the_reading_of_an_artifact_is_raised(client: CoordinatorClient, error: Exception) -> None:
    """It is not taken for a lost connection, for which the call would be repeated until the job's deadline."""

    tries = []

    def chunks() -> Iterator[bytes]:
        tries.append(error)
        yield b"one "
        raise error

    with pytest.raises(type(error)) as raised:
        client.upload(1, "a", "a", chunks)
    assert raised.value is error
    assert tries == [error]


class Calls:
    """Answers approvals and steps, and keeps their order."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def ask(self, request: pb.EnvironmentRequest, context: Any) -> pb.EnvironmentGrant:
        self.order.append(f"approval {request.environment}")
        return pb.EnvironmentGrant(approved_by="bob", approved_at=1.0, deadline_at=now() + 60)

    def run(self, request: pb.RunStepRequest, context: Any) -> pb.StepResult:
        self.order.append(f"step {request.name}")
        return pb.StepResult(status="success")


@pytest.mark.parametrize(
    ("only", "order"),
    [
        ("", ["step Tests", "approval production", "step Deploy"]),
        ("Tests", ["step Tests"]),
        ("Deploy", ["approval production", "step Deploy"]),
        ("none", []),
    ],
)
def test_one_step_alone_needs_the_approvals_before_it(tmp_path: Path, only: str, order: list[str]) -> None:
    calls = Calls()
    unary = grpc.unary_unary_rpc_method_handler
    methods = {
        "AskForEnvironment": unary(calls.ask, pb.EnvironmentRequest.FromString, pb.EnvironmentGrant.SerializeToString),
        "RunStep": unary(calls.run, pb.RunStepRequest.FromString, pb.StepResult.SerializeToString),
    }
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("danube.v1.Coordinator", methods),))
    server.add_insecure_port(f"unix:{tmp_path}/socket")
    server.start()
    client = CoordinatorClient(ServerConnection(f"unix:{tmp_path}/socket", "token"), "/workspace")
    client.only_step = OnlyStep(only)
    client.run_step(a_step(1, "Tests"))
    assert client.ask_for_environment(1, "production", 0).by == ("danube run --step" if only else "bob")
    client.run_step(a_step(2, "Deploy"))
    server.stop(None).wait()
    assert calls.order == order


def a_step(sequence: int, name: str) -> StepCall:
    return StepCall(sequence, name, "true", "", {}, "/workspace", 0, 0, True)
