"""From inside a job: each way to the server's keys, to another job's secret, artifact or files, to a secret after its
job, and to a forged record is tried by a job that knows every path, process, socket and id, and is refused.

The job tries from its danubefile, from a step in `host`, and from a step that is root of its image. Every way that is
possible at all is tried on the job's own things too, where it must succeed.
"""

import contextlib
import json
import os
import shlex
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import grpc
import pytest
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub

from danube_pkg.core.runtimes.supervisor import HASH_BYTES
from tests.adapters.images.containers import busybox
from tests.support.image_layouts import Layout, link
from tests.support.server import Installation
from tests.support.waiting import wait_until

HERE = Path(__file__).parent

SECRET, VALUE, ARTIFACT = "VICTIM", "the-value-of-the-victims-secret", b"what the victim has released\n"

VICTIM = """
import time
from danube import artifacts, pipeline, secrets, step

@pipeline(name="victim")
def build():
    step.run("printf 'what the victim has released\\\\n' > release; echo of the victim > ready")
    artifacts.upload("release", name="release")
    waiting = step.start("echo waits; exec sleep 3000", name="waits", env={"VALUE": secrets.get("VICTIM")}, check=False)
    while not secrets.get("GO", default=""):
        time.sleep(1)
    waiting.stop()
"""
"""It waits for a secret, since a test as an ordinary user cannot write to a workspace whose owners are lent ids."""

CONTROLS = ("path", "link", "hard-link", "processes", "climbing", "search")
"""Ways to a file that must lead to the job's own."""

CALLS = ("seize", "attach", "readv", "pidfd")
"""Calls by which a process reads a child's memory, and so could read another one's."""

FORGED = b"E" + (13 + 5).to_bytes(4, "little") + b"\x04\x04\0\0\0\0\0\0\0" + bytes(9)
"""A record of an end with exit code 0, as its frame would be: without the key it has a wrong authenticator."""


@pytest.fixture
def attacked(danube: Installation, tmp_path: Path) -> Installation:
    """A server with the image that has the attacker's tools, and with both pipelines."""
    danube.pipeline("victim", VICTIM)
    danube.pipeline("attacker", (HERE / "attacker.py").read_text(), {"ways.sh": (HERE / "ways.sh").read_text()})
    repository = danube.repositories / "attacker"
    subprocess.run(["gcc", "-O1", "-static", "-o", str(repository / "reach"), str(HERE / "reach.c")], check=True)
    (repository / "forged.bin").write_bytes(FORGED + blake2b(FORGED, key=bytes(32), digest_size=HASH_BYTES).digest())
    tools = [link(f"bin/{tool}", "busybox") for tool in ("unshare", "nsenter", "printf", "touch")]
    layout = Layout(tmp_path / "layout").image("local/ways:1", [busybox(), tools])
    danube.serve()
    danube.command("image", "load", str(layout.file(tmp_path / "ways.tar")))
    danube.command("secrets", "set", SECRET, "--pipeline", "victim", stdin=VALUE)
    danube.command("secrets", "set", "OWN", "--pipeline", "attacker", stdin="the-attackers-own-value")
    return danube


def finish_victim(danube: Installation, job_id: str) -> None:
    """Let a waiting job of the victim end, which it does as if nothing had happened."""
    danube.command("secrets", "set", "GO", "--pipeline", "victim", stdin="it may end")
    assert danube.end_of(job_id, 240)["status"] == "success", danube.log(job_id)
    danube.command("secrets", "remove", "GO", "--pipeline", "victim")


def start_victim(danube: Installation) -> str:
    job_id = danube.trigger("victim")
    danube.wait_for_log(job_id, "waits", 240)
    return job_id


def token_of(danube: Installation, job_id: str) -> str:
    """The token of a running job, as root of the machine reads it."""
    (directory,) = danube.pod_directories(job_id)
    return (directory / "c" / "0" / "token").read_text()


def write_targets(danube: Installation, running: str, ended: str, ended_token: str) -> None:
    """What the attacker knows: where everything is."""
    (pod,) = danube.pod_directories(running)
    inner = [pod / "workspace" / "ready", pod / "c" / "0" / "token"]
    files = [*sorted((danube.data / "keys").glob("*.key")), danube.data / "danube.db", danube.data / "danube.db-wal"]
    files += [danube.data / "logs" / f"{running}.log", danube.data / "artifacts" / ended / "release", *inner]
    assert all(file.is_file() and file.stat().st_size for file in files)
    sockets = [path for path in danube.data.rglob("*") if path.is_socket()]
    assert {"danube.sock", "coordinator.sock"} <= {path.name for path in sockets}
    assigned = {
        "DATA": str(danube.data),
        "PORT": port_of(danube),
        "FILES": " ".join(map(str, files)),
        "PROCESSES": " ".join(map(str, processes_of(danube, pod))),
        "SOCKETS": " ".join(map(str, sockets)),
    }
    repository = danube.repositories / "attacker"
    lines = (f"{name}={shlex.quote(str(value))}\n" for name, value in assigned.items())
    (repository / "targets").write_text("".join(lines))
    known = {
        "victim": running,
        "victim_token": token_of(danube, running),
        "ended": ended,
        "ended_token": ended_token,
        "key": str(danube.data / "keys" / "signing.key"),
    }
    (repository / "targets.json").write_text(json.dumps(known))


def port_of(danube: Installation) -> int:
    """The port on which the server listens for HTTP."""
    lines = danube.server_log.read_text().splitlines()
    ready = next(json.loads(line) for line in lines if '"server-ready"' in line)
    return int(ready["address"].rpartition(":")[2])


def processes_of(danube: Installation, pod: Path) -> list[int]:
    """The server, and the processes of the victim's containers, as the machine numbers them."""
    inits = [json.loads(file.read_text())["pid"] for file in pod.glob("c/*/container.json")]
    assert len(inits) == 2
    children = [int(one) for init in inits for one in Path(f"/proc/{init}/task/{init}/children").read_text().split()]
    assert children
    return [danube.process_id, *inits, *children]


def ways_of(danube: Installation, job_id: str) -> dict[str, dict[str, str]]:
    """By place, by way: what came of it, as the job has printed it."""
    found: dict[str, dict[str, str]] = {}
    place, ends = "", 0
    for line in danube.printed(job_id).splitlines():
        words = line.split(" ", 2)
        if words[0] == "PLACE":
            place = words[1]
        elif words[0] == "CALL":
            found.setdefault(place, {})[f"call {words[1]}"] = "works"
        elif line == "WAYS tried":
            ends += 1
        elif words[0] == "WAY":
            name = line[4:].rpartition(" refused")[0]
            found.setdefault(place, {})[name or line[4:].removesuffix(" reached")] = "refused" if name else "reached"
    assert ends == 4, danube.log(job_id)[-4000:]
    return found


@pytest.mark.long
def test_every_way_out_of_a_job_is_refused(attacked: Installation) -> None:
    danube = attacked
    ended = start_victim(danube)
    ended_token = token_of(danube, ended)
    finish_victim(danube, ended)
    running = start_victim(danube)
    write_targets(danube, running, ended, ended_token)
    attacker = danube.trigger("attacker")
    job = danube.end_of(attacker, 600)
    assert job["status"] == "success", danube.log(attacker)[-4000:]
    found = ways_of(danube, attacker)
    assert set(found) == {"danubefile", "step", "root", "calls"}
    for place in ("danubefile", "step", "root"):
        check_controls(place, found[place])
    assert found["calls"].pop("control-secret") == "reached"
    reached = {f"{place}: {way}" for place, ways in found.items() for way, end in ways.items() if end == "reached"}
    assert reached == set()
    assert all(len(found[place]) > 100 for place in ("danubefile", "step", "root"))
    assert len(found["calls"]) > 50
    check_records(danube, job, attacker)
    finish_victim(danube, running)
    check_nothing_leaked(danube, {running: "victim", ended: "victim", attacker: "attacker"})


def check_controls(place: str, ways: dict[str, str]) -> None:
    """The ways work: each of them leads to what is the job's own."""
    for way in CONTROLS:
        assert ways.pop(f"control/{way}") == "reached", (place, way)
    for call in CALLS:
        assert ways.pop(f"call {call}", "") == "works", (place, call)
    assert ways.pop("control-socket") == ("reached" if place == "danubefile" else "refused"), place


def check_records(danube: Installation, job: Mapping[str, Any], job_id: str) -> None:
    """What the steps did is recorded as it was, and what was forged is nowhere."""
    steps = {one["name"]: one for one in job["steps"]}
    assert set(steps) == {"fails", "as a step", "as root"}
    assert (steps["fails"]["status"], steps["fails"]["exit_code"]) == ("failure", 3)
    assert [one["name"] for one in json.loads(danube.command("artifacts", "list", job_id, "--json").stdout)] == ["leak"]
    with tarfile.open(danube.data / "artifacts" / job_id / "leak.tar.gz") as leak:
        assert [(one.issym(), one.size) for one in leak.getmembers()] == [(True, 0)]


def check_nothing_leaked(danube: Installation, jobs: Mapping[str, str]) -> None:
    """The keys are in their files alone, the secret is in no file, and every job's export is verified."""
    for key in ("signing.key", "encryption.key"):
        line = next(one for one in (danube.data / "keys" / key).read_bytes().splitlines() if b"-----" not in one)
        assert danube.files_with(line) == [danube.data / "keys" / key]
    assert danube.files_with(VALUE.encode()) == []
    keys = danube.path / "keys.json"
    danube.command("keys", "export", "--output", str(keys))
    for job_id, pipeline in jobs.items():
        export = danube.path / f"{job_id}.tar"
        danube.command("jobs", "export", job_id, "--output", str(export))
        verified = json.loads(danube.command("verify", "--job", str(export), "--key", str(keys), "--json").stdout)
        assert verified["verified"], verified
        if pipeline == "victim":
            assert (danube.data / "artifacts" / job_id / "release").read_bytes() == ARTIFACT


@contextlib.contextmanager
def server_of(danube: Installation) -> Iterator[CoordinatorStub]:
    """The coordinators' server, reached as no pod can: by its own socket."""
    directory = os.open(danube.data / "run" / "grpc", os.O_PATH | os.O_DIRECTORY)
    with grpc.insecure_channel(f"unix:/proc/self/fd/{directory}/coordinator.sock") as channel:
        yield CoordinatorStub(channel)
    os.close(directory)


def reads_secret(stub: CoordinatorStub, token: str, sequence: int) -> bool:
    """Whether the secret is given to who has that token."""
    request = pb.ReadSecretRequest(protocol_version=1, sequence=sequence, key=SECRET)
    try:
        answer = stub.ReadSecret(request, metadata=(("authorization", f"Bearer {token}"),), timeout=30)
    except grpc.RpcError:
        return False
    return bool(answer.value == VALUE.encode())


def test_a_secret_is_read_until_the_job_is_finished_and_never_again(danube: Installation) -> None:
    """By the job's own token: refused from the moment at which the server has answered that the job is finished."""
    danube.pipeline("victim", VICTIM)
    danube.serve()
    danube.command("secrets", "set", SECRET, "--pipeline", "victim", stdin=VALUE)
    job_id = start_victim(danube)
    token = token_of(danube, job_id)
    with server_of(danube) as stub:
        assert reads_secret(stub, token, 701)
        finish = pb.FinishRequest(protocol_version=1, success=False, reason="script-error", message="left")
        stub.Finish(finish, metadata=(("authorization", f"Bearer {token}"),), timeout=30)
        ends: list[bool] = []

        def has_ended() -> bool:
            ends.append(reads_secret(stub, token, 702))
            return bool(danube.job(job_id)["status"] == "failure")

        wait_until(has_ended, 60, "the job to end")
        assert not any(ends)
        assert not reads_secret(stub, token, 701)
