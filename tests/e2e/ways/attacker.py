"""The danubefile of an attacker who knows everything but the secrets: it tries each way from three places, and prints a
line for each: `WAY NAME refused|reached`.

`targets.json` beside it has the ids, and the tokens of two other jobs, which no way leads to: they are given to it.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub

from danube import artifacts, pipeline, step

CALL_SECONDS = 20


def tried(name: str, work: Callable[[], object]) -> None:
    """Print whether a call led anywhere."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whichever way it was refused, the next one is tried
        code = error.code().name if isinstance(error, grpc.RpcError) else str(error).partition("\n")[0]
        print(f"WAY {name} refused: {type(error).__name__} {code}")
    else:
        print(f"WAY {name} reached")


def every_call(label: str, token: str, key: str) -> None:
    """Each call of a coordinator with that token; the last one ends its job."""
    stub = CoordinatorStub(grpc.insecure_channel("unix:/.danube/run/coordinator.sock"))
    metadata = (("authorization", f"Bearer {token}"),)

    def call(method: str, request: object) -> None:
        tried(f"{label}/{method}", lambda: getattr(stub, method)(request, metadata=metadata, timeout=CALL_SECONDS))

    call("ReadSecret", pb.ReadSecretRequest(protocol_version=1, sequence=901, key=key))
    call("IssueIdToken", pb.IdTokenRequest(protocol_version=1, sequence=9002, audience="https://example.org"))
    call("RunStep", pb.RunStepRequest(protocol_version=1, sequence=9003, name="forged", command="true"))
    call("StopStep", pb.StopStepRequest(protocol_version=1, sequence=1))
    call("UploadArtifact", iter([chunk(9004, "forged", "forged")]))
    call("ReportTests", pb.TestReport(protocol_version=1, sequence=9005, passed=1))
    cache = pb.CacheRequest(protocol_version=1, sequence=9006, name="c", key="k", paths=["out"])
    call("RestoreCache", cache)
    call("SaveCache", cache)
    source = pb.FetchSourceRequest(protocol_version=1)
    tried(f"{label}/FetchSource", lambda: next(iter(stub.FetchSource(source, metadata=metadata, timeout=CALL_SECONDS))))
    call("Start", pb.StartRequest(protocol_version=1))
    call("Finish", pb.FinishRequest(protocol_version=1, success=True))


def chunk(sequence: int, name: str, file_name: str) -> pb.ArtifactChunk:
    return pb.ArtifactChunk(protocol_version=1, sequence=sequence, name=name, file_name=file_name, data=b"forged")


def own_calls(targets: dict[str, str]) -> None:
    """Calls with the job's own token for what is not its own."""
    own = Path("/.danube/token").read_text()
    stub = CoordinatorStub(grpc.insecure_channel("unix:/.danube/run/coordinator.sock"))
    metadata = (("authorization", f"Bearer {own}"),)

    def secret(number: int, key: str) -> bytes:
        request = pb.ReadSecretRequest(protocol_version=1, sequence=number, key=key)
        value: bytes = stub.ReadSecret(request, metadata=metadata, timeout=CALL_SECONDS).value
        return value

    def upload(number: int, name: str, file_name: str) -> object:
        return stub.UploadArtifact(iter([chunk(number, name, file_name)]), metadata=metadata, timeout=CALL_SECONDS)

    def other_command() -> None:
        request = pb.RunStepRequest(protocol_version=1, sequence=1, name="fails", command="true")
        result = stub.RunStep(request, metadata=metadata, timeout=CALL_SECONDS)
        if (result.status, result.exit_code) == ("failure", 3):
            raise ValueError("what is recorded is answered")

    tried("control-secret", lambda: secret(801, "OWN"))
    for number, key in enumerate(("VICTIM", "victim/VICTIM", "../victim/VICTIM", "victim\0VICTIM"), start=802):
        tried(f"secret/{key!r}", partial(secret, number, key))
    ended = targets["ended"]
    for number, (name, file_name) in enumerate(
        (
            (f"../{ended}/release", f"../{ended}/release"),
            ("release", f"../{ended}/release"),
            ("x", "../../keys/signing.key"),
        ),
        start=8010,
    ):
        tried(f"upload/{number}", partial(upload, number, name, file_name))
    tried("record/another-command", other_command)


def places() -> Iterator[tuple[str, Callable[[], object]]]:
    """Where the ways are tried; what came of them is in the file `ways.out` then."""
    tries = "sh ways.sh > ways.out"
    yield "danubefile", lambda: subprocess.run(["sh", "-c", tries], check=False)
    yield "step", lambda: step.run(tries, name="as a step", check=False)
    yield "root", lambda: step.run(tries, name="as root", check=False, image="local/ways:1")


@pipeline(name="attacker")
def build() -> None:
    targets = json.loads(Path("targets.json").read_text())
    step.run("cat forged.bin; exit 3", name="fails", check=False)
    for place, run in places():
        run()
        print(f"PLACE {place}")
        print(Path("ways.out").read_text())
        Path("ways.out").unlink()
    print("PLACE calls")
    own_calls(targets)
    own = Path("/.danube/token").read_text().split(".")
    every_call("victim", targets["victim_token"], "VICTIM")
    every_call("ended", targets["ended_token"], "VICTIM")
    every_call("guessed", f"{own[0]}.{targets['victim']}.{own[2]}", "VICTIM")
    every_call("none", "", "VICTIM")
    os.symlink(targets["key"], "leak")
    artifacts.upload("leak", name="leak")
    print("WAYS tried")
