"""What jobs may leave on a machine, and what a server may hold: found from outside, by the path and id of a data
directory."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.id_ranges import MACHINE_DIRECTORY

CGROUPS = Path("/sys/fs/cgroup")


def leftovers(data: Path) -> Sequence[str]:
    """Everything of a data directory's pods that exists. Empty after they were removed."""
    return [f"{kind} {one}" for kind, found in leftovers_by_kind(data).items() for one in found]


def leftovers_by_kind(data: Path) -> Mapping[str, Sequence[str]]:
    """The same, by what it is."""
    data_id = json.loads((data / "identity.json").read_text())["id"]
    return {
        "process": processes_of(data, data_id),
        "mount": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(data) in line],
        "loop device": [file for file in _loop_files() if str(data) in file],
        "control group": [str(group) for group in _groups(data_id)],
        "range of user ids": [claim for claim in _claims() if str(data) in claim],
        "file": [str(path) for name in ("pods", "disks") for path in (data / name).glob("*")],
    }


def processes_of(data: Path, data_id: str) -> Sequence[str]:
    """Processes of pods: holders have the id in their environment, and containers have the supervisor of the data
    directory among their mounts, in a mount namespace of their own."""
    own = os.readlink("/proc/self/ns/mnt")
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if f"DANUBE_POD={data_id}/".encode() in (directory / "environ").read_bytes():
                found.append(f"{directory.name}: a holder")
            elif any(os.readlink(file).startswith(f"{data}/pods/") for file in (directory / "fd").iterdir()):
                found.append(f"{directory.name}: the start of a container")
            elif os.readlink(directory / "ns" / "mnt") != own and str(data) in (directory / "mountinfo").read_text():
                found.append(f"{directory.name}: {(directory / 'cmdline').read_bytes()[:200]!r}")
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def _loop_files() -> Sequence[str]:
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found.append(backing.read_text().strip())
        except OSError:  # it was released meanwhile
            continue
    return found


def _groups(data_id: str) -> Sequence[Path]:
    found = [*CGROUPS.glob("danube/pods/*"), *CGROUPS.glob("*/danube/pods/*")]
    return [group for group in found if group.name == data_id]


def _claims() -> Sequence[str]:
    found = []
    try:
        for file in MACHINE_DIRECTORY.glob("[0-9]*"):
            found.append(file.read_text())
    except OSError:  # an ordinary user's pods have none; one may be released meanwhile
        return found
    return found
