"""Ranges of user ids for the pods of a server that is run by root. A range belongs to one pod at a time, over all
servers, runs and restarts of this machine.

`/run/danube/user-ids` has a file for each range that was claimed, with the pod and the process that claimed it, and a
lock that is held while one is claimed. A range is free when no process has an id of it and no living process has
claimed it. So the claim of a server that was killed lasts as long as a process of its pod lives, and no longer; and one
that claims for a pod whose first process has not started yet is not overtaken. Restarts of the machine clear /run.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.id_maps import IDS_OF_A_POD
from danube_pkg.adapters.runtimes.sandbox.pod_files import ProcessMark
from danube_pkg.core.errors import HostLacks, Unavailable
from danube_pkg.kit.records import Record

FIRST_POD_USER = 0x70000000
"""Above the ranges that systemd gives to its containers, so that no id is given out twice."""

PROXY_USER = FIRST_POD_USER - 1
"""The user id of the egress proxy, which no pod and no other process has."""

MAX_PODS = 8192
"""This many ranges of ids fit above FIRST_POD_USER."""

MACHINE_DIRECTORY = Path("/run/danube/user-ids")
"""One for each machine: /run is the place for the state of running services (file-hierarchy(7))."""

_LOCK = "lock"


def has_ids_for_pods() -> bool:
    """Whether this process may give each pod a range of ids: as root, outside a container that has few ids."""
    if os.geteuid() != 0:
        return False
    last = FIRST_POD_USER + MAX_PODS * IDS_OF_A_POD
    maps = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= FIRST_POD_USER and last <= first + count for first, _, count in maps)


class RangeClaim(Record):
    """A claimed range by its number, the directory of its pod, and the process that claimed it."""

    number: int
    pod: str
    owner: ProcessMark


class IdRanges:
    """The ranges of this machine. directory: where they are recorded, the same for all servers."""

    def __init__(self, directory: Path = MACHINE_DIRECTORY) -> None:
        self._directory = directory

    def claim(self, pod: Path) -> int:
        """The first id of a range that from now on belongs to a pod only. pod: its directory, which no other pod has.

        The claim of this process ends with `release`; that of a process that has ended, with the pod's last process.
        Blocks while another process claims one, which takes milliseconds. Raises Unavailable, HostLacks.
        """
        with self._locked():
            used = _ranges_in_use() | self._claimed(pod)
            free = next((number for number in range(MAX_PODS) if number not in used), None)
            if free is None:
                raise Unavailable("too-many-pods", f"{MAX_PODS} pods exist", hint="lower max_concurrent_jobs")
            mark = ProcessMark.of(os.getpid())
            if mark is None:
                raise RuntimeError("this process runs and is not found in /proc")
            claim = {"pod": str(pod), "pid": mark.pid, "start": mark.start}
            (self._directory / str(free)).write_text(json.dumps(claim))
        return FIRST_POD_USER + free * IDS_OF_A_POD

    def release(self, pod: Path) -> None:
        """Give back what was claimed for a pod; its processes have ended. No error where nothing was claimed."""
        with self._locked():
            for claim in self._claims():
                if claim.pod == str(pod):
                    self._remove(claim)

    def _claimed(self, pod: Path) -> set[int]:
        """Ranges of other pods whose claiming process lives. All other claims are removed: those of processes that have
        ended, and that of an interrupted creation of this pod."""
        claims = list(self._claims())
        alive = {owner for owner in {claim.owner for claim in claims} if owner.lives()}
        kept = {claim.number for claim in claims if claim.owner in alive and claim.pod != str(pod)}
        for claim in claims:
            if claim.number not in kept:
                self._remove(claim)
        return kept

    def _claims(self) -> Iterator[RangeClaim]:
        """A claim that cannot be read was being written by a process that was killed: no pod and no process has it."""
        for path in list(self._directory.iterdir()):
            if path.name.isdecimal():
                try:
                    data = json.loads(path.read_text())
                    yield RangeClaim(int(path.name), data["pod"], ProcessMark(data["pid"], data["start"]))
                except (ValueError, KeyError):
                    yield RangeClaim(int(path.name), "", ProcessMark(0, 0))

    def _remove(self, claim: RangeClaim) -> None:
        (self._directory / str(claim.number)).unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = self._open_lock()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise HostLacks(
                "user-ids-not-recorded",
                f"the user ids of pods cannot be recorded in {self._directory}",
                cause=error.strerror or str(error),
                hint=f"install -d -m 0700 {self._directory}",
            ) from error


def _ranges_in_use() -> set[int]:
    """The ranges of which any process of this machine has a user id: real, effective, saved or of files."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            status = Path(f"/proc/{name}/status").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        for user in status.partition("\nUid:")[2].partition("\n")[0].split():
            if int(user) >= FIRST_POD_USER:
                found.add((int(user) - FIRST_POD_USER) // IDS_OF_A_POD)
    return found
