"""A pod on disk: `pods/<pod_id>/pod.json`, `workspace/`, `run/` with the coordinator's socket, and `c/<number>/` with a
container's root, state and exec socket.

A pod that was created before pods had ids of their own has its job's id, which is the name of its directory too.

A record names the data directory that made it. In a copy of that directory it describes a pod of the original, whose
processes are not the copy's: such a record is not read, so the pod has ended for the copy, and only its files are
removed.

State files are written atomically after what they describe exists. They outlive the server and not the machine, as the
processes that they describe do, so that writing them does not wait for the disk. A process is identified by its id and
its start time, so that a reused id is never taken for a pod's process.
"""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from danube_pkg.core.errors import Defect, Unavailable
from danube_pkg.core.runtimes.pods import (
    Container,
    ContainerRole,
    Limits,
    Network,
)
from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record, to_builtins
from danube_pkg.kit.trees import remove_tree

_log = EventLog("danube.sandbox")

Made = TypeVar("Made")


class ProcessMark(Record):
    """A process that may outlive the server: its id and its start time in clock ticks since boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> "ProcessMark | None":
        """The running process with that id; None where there is none, or a zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in ("Z", "X") else cls(pid, int(fields[19]))

    def lives(self) -> bool:
        return ProcessMark.of(self.pid) == self

    def kill(self) -> None:
        """SIGKILL through a pidfd of this very process, so that a reused id is never hit."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.lives():
                with contextlib.suppress(ProcessLookupError):  # it has ended between the two calls
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


class PodRecord(Record):
    """What is recorded of a pod.

    data_id: the identity of its data directory. user_base: the host's user id for the pod's root; 0 where the pod runs
    as the server's own user. full_ids: the pod has all ids that images use. tree_owner, host_user: the users in the pod
    who own the workspace, and who run the image `host`; root in pods of older versions. mapped_owners: each image's
    user sees the workspace as its own. is_closed: its job has ended, and it reaches nothing outside any more.
    """

    pod_id: str
    data_id: str
    job_id: str
    holder: ProcessMark
    user_base: int
    network: Network
    allowlist: tuple[str, ...]
    limits: Limits
    full_ids: bool
    tree_owner: int = 0
    host_user: int = 0
    mapped_owners: bool = False
    is_closed: bool = False

    @property
    def shares_by_group(self) -> bool:
        """Whether steps of different users write to the workspace by its group (`workspace_owners.py`)."""
        return self.full_ids and self.tree_owner != 0 and not self.mapped_owners

    @property
    def has_subordinate_ids(self) -> bool:
        """Whether its files have owners of the subordinate range, whose rights the server's process has not."""
        return self.full_ids and not self.user_base

    @property
    def host_network(self) -> bool:
        return self.network is Network.HOST


class ContainerRecord(Record):
    """One container instance, the job of its pod ("" for none), its PID 1, and the digest of its image ("" for the
    machine's own programs)."""

    container: Container
    job_id: str
    init: ProcessMark
    image_digest: str = ""
    isolation: int = 0
    """The number of the isolated leg that it belongs to; 0 for none."""


class LegRecord(Record):
    """An isolated leg of a matrix: the process that holds its network, and whether its workspace is complete."""

    number: int
    holder: ProcessMark
    is_complete: bool


class PodDirectory:
    """Paths and records of one pod. data_id: the identity of the data directory that has it."""

    def __init__(self, pods: Path, pod_id: str, data_id: str) -> None:
        if pod_id in ("", ".", "..") or "/" in pod_id:  # another directory than its own would be removed with the pod
            raise Defect("pod-id-invalid", f"{pod_id!r} cannot be the id of a pod")
        self.path = pods / pod_id
        self.pod_id = pod_id
        self._data_id = data_id
        self.workspace = self.path / "workspace"
        self.sockets = self.path / "run"
        self.legs = self.path / "legs"
        """Workspaces of isolated legs by number. Only the server creates entries in it, so none is a link."""

    def container(self, number: int) -> Path:
        return self.path / "c" / str(number)

    def write_pod(self, record: PodRecord) -> None:
        _write(self.path / "pod.json", to_builtins(record))

    def read_pod(self) -> PodRecord | None:
        return _readable(self.path / "pod.json", self._pod_record)

    def _pod_record(self, data: dict[str, Any]) -> PodRecord | None:
        """None for the record of another data directory."""
        if data.get("data_id", self._data_id) != self._data_id:
            return None
        holder, limits = ProcessMark(**data["holder"]), Limits(**data["limits"])
        network = Network(data["network"])
        base = data["user_base"]
        full = data.get("full_ids", base != 0)
        allowlist = tuple(data["allowlist"])
        return PodRecord(
            self.pod_id,
            self._data_id,
            data["job_id"],
            holder,
            base,
            network,
            allowlist,
            limits,
            full,
            tree_owner=int(data.get("tree_owner", 0)),
            host_user=int(data.get("host_user", 0)),
            mapped_owners=bool(data.get("mapped_owners", False)),
        )

    def _read_own(self) -> dict[str, Any] | None:
        """The record; {} without one, None for that of another data directory. One without an identity is older."""
        data = _readable(self.path / "pod.json", dict) or {}
        return data if data.get("data_id", self._data_id) == self._data_id else None

    def write_container(self, record: ContainerRecord) -> None:
        container = record.container
        state = {"pid": record.init.pid, "start": record.init.start, "image": container.image, "role": container.role}
        state["image_digest"] = record.image_digest
        state["isolation"] = record.isolation
        _write(self.container(container.number) / "container.json", state)

    def containers(self) -> Iterator[ContainerRecord]:
        """Every instance that was ever started, oldest first, running or not."""
        pod = self._read_own()
        if pod is None:
            return
        job_id = pod.get("job_id", "")
        for number in self.numbers():

            def record(data: dict[str, Any], number: int = number) -> ContainerRecord:
                container = Container(self.pod_id, number, ContainerRole(data["role"]), data["image"])
                mark = ProcessMark(data["pid"], data["start"])
                return ContainerRecord(
                    container, job_id, mark, data.get("image_digest", ""), int(data.get("isolation", 0))
                )

            found = _readable(self.container(number) / "container.json", record)
            if found is not None:
                yield found

    def numbers(self) -> list[int]:
        """Numbers that are taken, also by an interrupted creation."""
        directory = self.path / "c"
        if not directory.is_dir():
            return []
        return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal())

    def write_leg(self, record: LegRecord) -> None:
        _write(self.path / f"leg-{record.number}.json", to_builtins(record))

    def leg_records(self) -> list[LegRecord]:
        """Every isolated leg that was ever begun, running or not."""
        if self._read_own() is None:
            return []

        def record(data: dict[str, Any]) -> LegRecord:
            return LegRecord(data["number"], ProcessMark(**data["holder"]), data["is_complete"])

        found = (_readable(path, record) for path in sorted(self.path.glob("leg-*.json")))
        return [one for one in found if one is not None]

    def write_copied(self, number: int, size_bytes: int) -> None:
        """Record the size of a container's copy of its image, which does not count as the job's."""
        _write(self.container(number) / "copied.json", {"bytes": size_bytes})

    def copied_bytes(self) -> int:
        """The size of the copies of all containers."""
        paths = (self.container(number) / "copied.json" for number in self.numbers())
        return sum(_readable(path, lambda data: int(data["bytes"])) or 0 for path in paths)

    def remove(self, userns_command: Sequence[str] = ()) -> None:
        """Remove the directory, whatever a step has left in it; what can be removed is, also when this raises.

        userns_command: as in SandboxPods. Raises Unavailable, also when an interrupted creation adds a file meanwhile.
        """
        try:
            remove_tree(self.path, userns_command)
        except OSError as error:
            raise Unavailable(
                "pod-not-removed",
                f"files of pod {self.pod_id} cannot be removed",
                cause=error.strerror or str(error),
                hint=f"find out what keeps them, then remove them: rm -rf {self.path}",
            ) from error


def _write(path: Path, record: object) -> None:
    write_atomically(path, json.dumps(record).encode(), survives_power_failure=False)


def _readable(path: Path, made: Callable[[dict[str, Any]], Made]) -> Made | None:
    """What `made` makes of a record; None for a missing one, and for a damaged one, which is logged: one pod whose file
    was damaged must not fail every other one."""
    try:
        return made(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        _log.error("record-unreadable", path=str(path), cause=f"{type(error).__name__}: {error}")
        return None
