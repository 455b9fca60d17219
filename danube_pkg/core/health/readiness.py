"""What keeps a server from taking work, decided from what was observed."""

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.subsystems import LOW_DISK_BYTES, LOW_DISK_SHARE
from danube_pkg.kit.records import Record

NEEDED_BYTES = 256 * 1024**2
"""With less free space not even the logs of the running jobs have room."""

NEEDED_INODES = 1000
"""A job makes a few dozen files of the server's own."""

LOW_INODES = 10 * NEEDED_INODES

CLOCK_SECONDS = 60.0
"""A clock may be set back by seconds when it is synchronised; by a minute, times of records contradict each other."""

CLOCK_ACCEPTED_SECONDS = 600.0
"""A clock that stays behind for so long is taken for right: what was stored came from a clock that was ahead."""

STALE_SECONDS = 300.0
"""A configuration that could not be read for five minutes is not the current one any more; beside two intervals."""


class DiskState(Record):
    """What was observed. problem: why a file could not be written, in the operating system's words, "" where it could.
    total_inodes: 0 on a file system without a fixed number."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    problem: str = ""


def of_disk_state(state: DiskState, directory: str) -> Condition | None:
    """Why the disk is not usable; None where it is."""
    if state.problem:
        hint = f"check the disk of {directory}: df {directory}; journalctl -k; mount. Then remount or replace it"
        if state.free_bytes < NEEDED_BYTES:
            hint = f"free space on the file system of {directory}: danube image list"
        return Condition("disk-unwritable", f"{directory} cannot be written to: {state.problem}", hint)
    if state.free_bytes < NEEDED_BYTES:
        what = f"only {state.free_bytes // 1024**2} MiB are free on the disk of {directory}"
        return Condition("disk-full", what, "free space: danube image list; danube image remove NAME")
    if state.total_inodes and state.free_inodes < NEEDED_INODES:
        what = f"only {state.free_inodes} inodes are free on the disk of {directory}"
        return Condition("disk-inodes", what, f"remove files that are not needed: df -i {directory}")
    return None


def is_low(state: DiskState) -> bool:
    """Whether it is time to clean up."""
    return (
        state.free_bytes < LOW_DISK_BYTES
        or state.free_bytes < LOW_DISK_SHARE * state.total_bytes
        or bool(state.total_inodes and state.free_inodes < LOW_INODES)
    )


def of_low_disk(state: DiskState, directory: str) -> Condition | None:
    """A disk that is usable and will not be for long."""
    if not is_low(state):
        return None
    what = f"only {state.free_bytes / 1000**3:.1f} GB"
    if state.total_inodes and state.free_inodes < LOW_INODES:
        what = f"only {state.free_inodes} inodes"
    hint = "the server removes what it does not need; make room: danube image list, danube image remove NAME"
    return Condition("disk-low", f"{what} are free on the disk of {directory}", hint)


def of_clock(now: float, latest: float) -> Condition | None:
    """A clock that is behind what was stored already. Both in Unix seconds."""
    if now >= latest - CLOCK_SECONDS:
        return None
    what = f"the clock is {(latest - now) / 60:.0f} minutes behind the time that the server has stored"
    return Condition("clock-behind", what, "set the clock: timedatectl status; timedatectl set-ntp true")


def of_configuration_age(
    status: ConfigurationStatus, now: float, started_at: float, interval_seconds: float
) -> Condition | None:
    """Why the configuration cannot be relied on; mistakes in its newest revision are a condition of their own. Times
    are Unix seconds."""
    if not status.applied_revision:
        why = f": {status.problem}" if status.problem is not None else ""
        what = f"no configuration was ever applied{why}"
        return Condition("configuration-missing", what, "danube config status shows why")
    allowed = max(STALE_SECONDS, 2 * interval_seconds)
    since = max(status.read_at or 0.0, started_at)
    if status.problem is not None and now > since + allowed:
        what = f"the configuration could not be read for {(now - since) / 60:.0f} minutes: {status.problem}"
        return Condition("configuration-stale", what, status.problem.hint)
    return None
