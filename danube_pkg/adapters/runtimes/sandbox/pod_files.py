"""A pod on disk: `pods/<job>/pod.json`, `workspace/`, and `c/<number>/` with a container's root, state and exec socket.

State files are written atomically after what they describe exists; a process counts as alive when its id and its start
time are both right, so that a reused id is never taken for a pod's.
"""

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from danube_pkg.core.pods import Container, Role
from danube_pkg.kit.files import write_atomically


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process that may have outlived the server: its id and its start time in clock ticks since boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> "ProcessMark | None":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in ("Z", "X") else cls(pid, int(fields[19]))

    def lives(self) -> bool:
        return ProcessMark.of(self.pid) == self


@dataclass(frozen=True, slots=True)
class PodRecord:
    """user_base: the host id that root of the pod is; 0 where the pod runs as the server's own user."""

    job_id: str
    holder: ProcessMark
    user_base: int
    host_network: bool


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """One container instance and its PID 1."""

    container: Container
    init: ProcessMark


class PodDirectory:
    """Paths and records of one pod."""

    def __init__(self, pods: Path, job_id: str) -> None:
        self.path = pods / job_id
        self.job_id = job_id
        self.workspace = self.path / "workspace"

    def container(self, number: int) -> Path:
        return self.path / "c" / str(number)

    def write_pod(self, record: PodRecord) -> None:
        write_atomically(self.path / "pod.json", json.dumps(asdict(record)).encode())

    def read_pod(self) -> PodRecord | None:
        data = _read(self.path / "pod.json")
        if data is None:
            return None
        return PodRecord(data["job_id"], ProcessMark(**data["holder"]), data["user_base"], data["host_network"])

    def write_container(self, record: ContainerRecord) -> None:
        container = record.container
        state = {"pid": record.init.pid, "start": record.init.start, "image": container.image, "role": container.role}
        write_atomically(self.container(container.number) / "container.json", json.dumps(state).encode())

    def containers(self) -> Iterator[ContainerRecord]:
        """Every instance that was ever complete, oldest first, living or not."""
        for number in self.numbers():
            data = _read(self.container(number) / "container.json")
            if data is not None:
                container = Container(self.job_id, number, Role(data["role"]), data["image"])
                yield ContainerRecord(container, ProcessMark(data["pid"], data["start"]))

    def numbers(self) -> list[int]:
        """Numbers that are taken, also by a torn creation."""
        directory = self.path / "c"
        return sorted(int(path.name) for path in directory.iterdir()) if directory.is_dir() else []

    def remove(self) -> None:
        """Everything, whatever modes a step has left; symbolic links are never followed."""
        if self.path.is_dir():
            shutil.rmtree(self.path, onerror=_open_up)


def _open_up(function: Callable[..., Any], path: str, error: Any) -> None:
    """A directory without its owner's rights is given them, then tried again; what vanished meanwhile is fine."""
    if isinstance(error[1], FileNotFoundError):
        return
    for place in (os.path.dirname(path), path):
        if not stat.S_ISLNK(os.lstat(place).st_mode):
            os.chmod(place, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        function(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return data if isinstance(data, dict) else None


def directory_bytes(path: Path) -> int:
    """What a tree takes on disk; what vanishes while it is counted does not count."""
    total, places = 0, [str(path)]
    while places:
        try:
            with os.scandir(places.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        places.append(entry.path)
        except (FileNotFoundError, PermissionError):
            continue
    return total
