"""How each part of the server is doing, from what is known of it: what it answers, what it says of itself, how jobs ended."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import Record

LOW_DISK_BYTES = 2 * 1024**3
"""Below it the next artifact or image may not fit."""

LOW_DISK_SHARE = 0.05

NEWEST_JOBS = 20
"""That pods are judged by: enough for a few an hour, and old trouble is soon forgotten."""


class Part(StrEnum):
    """A part of the server, as people know it."""

    DATABASE = "database"
    DISK = "disk"
    CONFIGURATION = "configuration"
    PODS = "pods"
    WEBHOOKS = "webhooks"
    SCHEDULES = "schedules"
    NOTIFICATIONS = "notifications"
    LOGIN = "login"


class Subsystem(Record):
    """says: one sentence; hint: what mends it, "" where nothing is to be mended."""

    part: Part
    ok: bool
    says: str
    hint: str = ""


_PART_OF: Mapping[str, Part] = {
    "hooks-refused": Part.WEBHOOKS,
    "time-zone-missing": Part.SCHEDULES,
    "delivery-failing": Part.NOTIFICATIONS,
    "commit-status-refused": Part.NOTIFICATIONS,
    "dex-not-configured": Part.LOGIN,
    "dex-not-running": Part.LOGIN,
    "dex-not-answering": Part.LOGIN,
}
"""Of a condition, by its reference; the others are the configuration's."""

_LOST = {Reason.INFRASTRUCTURE_LOST, Reason.POD_LOST, Reason.POD_FAILED, Reason.HOST_LACKS, Reason.EVICTED}


def from_conditions(conditions: Sequence[Condition]) -> list[Subsystem]:
    """The parts that say of themselves what is wrong."""
    found = []
    for part in (Part.WEBHOOKS, Part.SCHEDULES, Part.NOTIFICATIONS, Part.LOGIN):
        wrong = [one for one in conditions if _PART_OF.get(one.reference) is part]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        found.append(
            Subsystem(part, False, f"{wrong[0].what}{more}", wrong[0].hint)
            if wrong
            else Subsystem(part, True, "nothing is wrong")
        )
    return found


def of_configuration(status: ConfigurationStatus, conditions: Sequence[Condition]) -> Subsystem:
    """conditions: all of them; those of no other part are the configuration's, and no reason to call it ill."""
    if status.problem is not None:
        return Subsystem(Part.CONFIGURATION, False, f"it cannot be read: {status.problem.what}", status.problem.hint)
    if not status.ok:
        count = len(status.findings)
        says = (
            f"the newest commit has {count} mistake{'s' if count != 1 else ''}" if count else "nothing is applied yet"
        )
        return Subsystem(Part.CONFIGURATION, False, says, "danube config status")
    waiting = sum(1 for one in conditions if one.reference not in _PART_OF)
    says = "the newest commit is in force"
    return Subsystem(Part.CONFIGURATION, True, f"{says}; it waits for {waiting} more" if waiting else says)


def of_disk(free_bytes: int, total_bytes: int) -> Subsystem:
    """Where artifacts, logs and images lie."""
    free = f"{free_bytes / 1000**3:.1f} GB free"
    if free_bytes < LOW_DISK_BYTES or free_bytes < LOW_DISK_SHARE * total_bytes:
        return Subsystem(
            Part.DISK,
            False,
            f"only {free}",
            "make room: danube image list, danube image remove NAME, and retention in config.yaml",
        )
    return Subsystem(Part.DISK, True, free)


def of_pods(newest: Sequence[Reason]) -> Subsystem:
    """newest: why the last jobs ended, newest first. A pod that was lost just now is trouble; one before that succeeded, history."""
    if not newest:
        return Subsystem(Part.PODS, True, "no job has ended yet")
    lost = sum(reason in _LOST for reason in newest)
    says = f"{lost} of the last {len(newest)} jobs lost their pod" if lost else "the last jobs had what they needed"
    return Subsystem(Part.PODS, newest[0] not in _LOST, says, "danube doctor" if newest[0] in _LOST else "")
