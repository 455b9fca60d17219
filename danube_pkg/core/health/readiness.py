"""What keeps a server from taking work, decided from what was observed."""

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.health.conditions import Condition
from danube_pkg.kit.records import Record

NEEDED_BYTES = 256 * 1024**2
"""With less free space not even the logs of the running jobs have room."""

NEEDED_INODES = 1000
"""A job makes a few dozen files of the server's own."""

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
