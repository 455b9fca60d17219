"""A coordinator that sends what no SDK sends. A fork server runs it with variables for the socket's
path, a job token and a trick; it prints JSON.

It is a process of its own, so that the memory of the test's process is the server's.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub

from danube_pkg.edges.grpc.calls import MAX_CALLS_OF
from danube_pkg.services.jobs.step_memory import MAX_KEPT_REQUEST_BYTES

WIDE = "\U0001f600"
"""Four bytes in UTF-8; one such character makes Python take four bytes for each of a text."""

LARGE_STEP_BYTES = 1_000_000
"""Each step has at least this many."""

CALL_SECONDS = 60.0
"""For all calls of a trick, on a busy machine."""

OPTIONS = (("grpc.max_send_message_length", 64 * 1024**2), ("grpc.use_local_subchannel_pool", 1))


class Hostile:
    """Makes calls and collects how they end: by status and the reference of the refusal."""

    def __init__(self, socket: str, token: str) -> None:
        self._address = f"unix:{socket}"
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._ends: list[str] = []
        self._messages: set[str] = set()
        self._ended = threading.Condition()

    def stub(self) -> Any:
        return CoordinatorStub(grpc.insecure_channel(self._address, options=OPTIONS))

    def at_once(self, count: int, call: Callable[[int], Any], *, staying: int = 0) -> None:
        """So many calls in threads, until no more than `staying` of them are open; fails after CALL_SECONDS."""
        for number in range(count):
            threading.Thread(target=self._one, args=(call, number), daemon=True).start()
        with self._ended:
            assert self._ended.wait_for(lambda: len(self._ends) >= count - staying, CALL_SECONDS), self._ends
            self._ends += ["open"] * (count - len(self._ends))

    def _one(self, call: Callable[[int], Any], number: int) -> None:
        try:
            call(number)
            end = "done"
        except grpc.RpcError as error:
            trailing: Any = error.trailing_metadata() or ()
            data = dict(trailing).get("danube-problem-bin")
            problem = pb.Problem.FromString(data) if data else pb.Problem()
            end = f"{error.code().name} {problem.reference}".strip()
            with self._ended:
                self._messages.add(problem.what)
        with self._ended:
            self._ends.append(end)
            self._ended.notify_all()

    def report(self) -> None:
        with self._ended:
            print(json.dumps({"ends": Counter(self._ends), "messages": sorted(self._messages)[:20]}), flush=True)

    # --- tricks

    def steps(self) -> None:
        """Many parallel steps with all the bytes that one may have."""
        stub = self.stub()

        def call(number: int) -> None:
            request = pb.RunStepRequest(
                protocol_version=1,
                sequence=number + 1,
                name="large",
                command=WIDE + "x" * 120_000,
                environment={f"V{index}": WIDE * 28_000 for index in range(8)},
                image="host",
            )
            stub.RunStep(request, metadata=self._metadata)

        self.at_once(60, call, staying=MAX_KEPT_REQUEST_BYTES // LARGE_STEP_BYTES)

    def names(self) -> None:
        """Every text of every message, far above its bound."""
        stub, large = self.stub(), WIDE * 270_000
        run: dict[str, Any] = {"protocol_version": 1, "sequence": 1, "command": "true"}
        requests: list[tuple[Any, Any]] = [
            (stub.RunStep, pb.RunStepRequest(**run | {field: large}))
            for field in ("name", "command", "image", "working_directory")
        ]
        requests += [
            (stub.RunStep, pb.RunStepRequest(**run, environment={large: "x"})),
            (stub.RunStep, pb.RunStepRequest(**run, environment={f"V{number}": "x" for number in range(2000)})),
            (stub.ReadSecret, pb.ReadSecretRequest(protocol_version=1, sequence=1, key=large)),
            (stub.RunStep, pb.RunStepRequest(**run | {"command": large * 4})),
        ]
        requests += [
            (stub.UploadArtifact, [pb.ArtifactChunk(protocol_version=1, sequence=1, name=large)]),
            (stub.UploadArtifact, [pb.ArtifactChunk(protocol_version=1, sequence=1, file_name=large)]),
        ]

        def call(number: int) -> None:
            method, request = requests[number]
            method(iter(request) if isinstance(request, list) else request, metadata=self._metadata)

        self.at_once(len(requests), call)

    def sources(self) -> None:
        """Many streams of the source, none of which is read."""
        stub = self.stub()
        streams: list[Any] = []

        def call(number: int) -> None:
            stream = stub.FetchSource(pb.FetchSourceRequest(protocol_version=1), metadata=self._metadata)
            streams.append(stream)
            next(stream)
            threading.Event().wait()

        self.at_once(50, call, staying=MAX_CALLS_OF["FetchSource"])

    def uploads(self) -> None:
        """Many uploads with large pieces that do not end."""
        stub = self.stub()

        def pieces(number: int) -> Iterator[pb.ArtifactChunk]:
            name = f"a{number}"
            yield pb.ArtifactChunk(protocol_version=1, sequence=number + 1, name=name, file_name=name)
            for _ in range(3):
                yield pb.ArtifactChunk(data=bytes(1024**2))
            threading.Event().wait()

        def call(number: int) -> None:
            stub.UploadArtifact(pieces(number), metadata=self._metadata)

        self.at_once(40, call, staying=MAX_CALLS_OF["UploadArtifact"])

    def connections(self) -> None:
        """Many connections, and calls without a token over them."""
        stubs = [self.stub() for _ in range(150)]

        def call(number: int) -> None:
            stubs[number].Start(pb.StartRequest(protocol_version=1), timeout=5)

        self.at_once(len(stubs), call)


def main() -> int:
    """What the fork server runs. Calls stay open in threads after the result was printed, until it is ended."""
    hostile = Hostile(os.environ["SOCKET"], os.environ["TOKEN"])
    getattr(hostile, os.environ["TRICK"])()
    hostile.report()
    threading.Event().wait()
    return 0
