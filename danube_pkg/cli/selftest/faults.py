"""The faults of a self-test. Each is applied to what the self-test owns, and is over when its function returns."""

import json
import os
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from random import Random

from danube_pkg.adapters.runtimes.sandbox.pod_files import ProcessMark
from danube_pkg.cli.selftest.own_network import Broken, OwnNetwork
from danube_pkg.cli.selftest.scratch_disk import ScratchDisk
from danube_pkg.cli.selftest.scratch_server import ScratchServer
from danube_pkg.kit.records import Record

FULL_BYTES = 32 * 1024**2
"""What a filled disk has left: below what a server needs to start a job."""

LEFT_BYTES = (0, FULL_BYTES)


class FaultKind(StrEnum):
    """What is done to the server."""

    KILL_SERVER = "kill-server"
    STOP_SERVER = "stop-server"
    KILL_HELPER = "kill-helper"
    KILL_POD = "kill-pod"
    FILL_DISK = "fill-disk"
    BREAK_NETWORK = "break-network"


class Fault(Record):
    """One that was injected. at, seconds: when, in Unix seconds, and for how long. what: in a few words. job_id: of the
    pod that was killed."""

    kind: FaultKind
    at: float
    seconds: float
    what: str
    job_id: str = ""


class FaultTarget(Record):
    """What faults are applied to. disk: None where this machine does not give one. starts: the seconds until a
    restarted server answered. stops: until a server had ended after SIGTERM."""

    server: ScratchServer
    network: OwnNetwork
    disk: ScratchDisk | None
    chance: Random
    starts: list[float]
    stops: list[float]


def inject(target: FaultTarget) -> Fault | None:
    """A random fault; None where there was nothing to apply it to, such as no pod."""
    kinds = [kind for kind in FaultKind if kind is not FaultKind.FILL_DISK or target.disk is not None]
    kind = target.chance.choice(kinds)
    at, began = time.time(), time.monotonic()
    done = _INJECTORS[kind](target)
    if done is None:
        return None
    what, job_id = done
    return Fault(kind, at, time.monotonic() - began, what, job_id)


Done = tuple[str, str] | None
"""What was done, and to which job's pod."""


def _kill_server(target: FaultTarget) -> Done:
    target.server.kill()
    pause = target.chance.choice((0.0, 0.5, 3.0))
    time.sleep(pause)
    target.starts.append(target.server.start())
    return f"SIGKILL, started again after {pause:g} s", ""


def _stop_server(target: FaultTarget) -> Done:
    began = time.monotonic()
    target.server.stop()
    target.stops.append(time.monotonic() - began)
    target.starts.append(target.server.start())
    return "SIGTERM, started again", ""


def _kill_worker(target: FaultTarget) -> Done:
    workers = [*children_of(target.server.process_id), *egress_proxies(target.server.data)]
    if not workers:
        return None
    process_id, name = target.chance.choice(workers)
    mark = ProcessMark.of(process_id)
    if mark is None:
        return None
    mark.kill()
    return f"SIGKILL to {name}", ""


def _kill_pod(target: FaultTarget) -> Done:
    pods = list(pod_processes(target.server.data))
    if not pods:
        return None
    job_id, name, mark = target.chance.choice(pods)
    mark.kill()
    return f"SIGKILL to {name} of job {job_id}", job_id


def _fill_disk(target: FaultTarget) -> Done:
    disk, left, seconds = target.disk, target.chance.choice(LEFT_BYTES), target.chance.uniform(2, 6)
    assert disk is not None
    disk.fill(left)
    time.sleep(seconds)
    disk.empty()
    return f"{left // 1024**2} MiB left for {seconds:.0f} s", ""


def _break_network(target: FaultTarget) -> Done:
    how, seconds = target.chance.choice(tuple(Broken)), target.chance.uniform(1, 6)
    target.network.damage(how)
    time.sleep(seconds)
    target.network.repair()
    return f"{how} for {seconds:.0f} s", ""


_INJECTORS: dict[FaultKind, Callable[[FaultTarget], Done]] = {
    FaultKind.KILL_SERVER: _kill_server,
    FaultKind.STOP_SERVER: _stop_server,
    FaultKind.KILL_HELPER: _kill_worker,
    FaultKind.KILL_POD: _kill_pod,
    FaultKind.FILL_DISK: _fill_disk,
    FaultKind.BREAK_NETWORK: _break_network,
}


def children_of(process_id: int) -> Sequence[tuple[int, str]]:
    """The direct children of a process and what each runs: workers for Git and images."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process_id:
                found.append((int(directory.name), _program(directory)))
        except OSError:  # it has ended
            continue
    return found


def egress_proxies(data: Path) -> Sequence[tuple[int, str]]:
    """The running egress proxies of a data directory: each writes into its log."""
    log = os.path.realpath(data / "run" / "egress" / "proxy.log")
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(directory / "fd" / "2") == log:
                found.append((int(directory.name), "the egress proxy"))
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def pod_processes(data: Path) -> Sequence[tuple[str, str, ProcessMark]]:
    """(job, what it is, process) for the holder of each pod and PID 1 of each of its containers."""
    found = []
    for pod in (data / "pods").glob("*"):
        try:
            record = json.loads((pod / "pod.json").read_text())
            job_id = str(record["job_id"])
            found.append((job_id, "the pod", ProcessMark(**record["holder"])))
            for file in (pod / "c").glob("*/container.json"):
                state = json.loads(file.read_text())
                found.append((job_id, f"the {state['role']}'s container", ProcessMark(state["pid"], state["start"])))
        except OSError:  # the pod is being made or removed
            continue
    return [(job_id, name, mark) for job_id, name, mark in found if mark.lives()]


def _program(directory: Path) -> str:
    words = (directory / "cmdline").read_bytes().split(b"\0")
    name = next((word for word in words if word.startswith(b"danube_pkg")), words[0])
    return os.fsdecode(name) or "a child"
