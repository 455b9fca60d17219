"""The state of each subsystem of the server, derived from its checks, its conditions and the ends of the last jobs."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import Record

LOW_DISK_BYTES = 2 * 1024**3
"""With less free space the next artifact or image may not fit."""

LOW_DISK_SHARE = 0.05

NEWEST_JOBS = 20
"""Jobs by which the subsystem of pods is judged: a few hours of a quiet server, so that old failures count no more."""


class Part(StrEnum):
    """The subsystems, by the names that the page and the API show."""

    DATABASE = "database"
    DISK = "disk"
    CONFIGURATION = "configuration"
    PODS = "pods"
    EGRESS = "egress"
    KEYS = "keys"
    CLOCK = "clock"
    WEBHOOKS = "webhooks"
    SCHEDULES = "schedules"
    NOTIFICATIONS = "notifications"
    LOGIN = "login"


class Subsystem(Record):
    """The state of one subsystem. says: one sentence. hint: what fixes it, or "". since: Unix seconds; None where it is
    not recorded."""

    part: Part
    ok: bool
    says: str
    hint: str = ""
    since: float | None = None


class PartHealth(Record):
    """The result of a subsystem's check. since: when the check first had this result, in Unix seconds; at most since
    the server's start. conditions: what keeps it from working."""

    part: Part
    since: float
    conditions: tuple[Condition, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.conditions

    @property
    def references(self) -> tuple[str, ...]:
        return tuple(one.reference for one in self.conditions)


_PART_OF: Mapping[str, Part] = {
    "disk-unwritable": Part.DISK,
    "disk-full": Part.DISK,
    "disk-inodes": Part.DISK,
    "disk-low": Part.DISK,
    "server-restored": Part.PODS,
    "clock-not-trusted": Part.DISK,
    "retention-exceeded": Part.DISK,
    "registry-not-cleaned": Part.DISK,
    "registry-garbage": Part.DISK,
    "database-unwritable": Part.DATABASE,
    "database-log-large": Part.DATABASE,
    "runtime-incomplete": Part.PODS,
    "effect-stuck": Part.PODS,
    "egress-not-answering": Part.EGRESS,
    "keys-unusable": Part.KEYS,
    "clock-behind": Part.CLOCK,
    "hooks-refused": Part.WEBHOOKS,
    "webhook-missing": Part.WEBHOOKS,
    "repository-renamed": Part.WEBHOOKS,
    "time-zone-missing": Part.SCHEDULES,
    "clock-went-back": Part.SCHEDULES,
    "delivery-failing": Part.NOTIFICATIONS,
    "commit-status-refused": Part.NOTIFICATIONS,
    "commit-status-impossible": Part.NOTIFICATIONS,
    "dex-not-configured": Part.LOGIN,
    "dex-not-running": Part.LOGIN,
    "dex-not-answering": Part.LOGIN,
    "pod-not-removed": Part.PODS,
    "issuer-unusable": Part.LOGIN,
}
"""The subsystem of a condition, by its reference; all other conditions belong to the configuration."""


def from_conditions(conditions: Sequence[Condition]) -> list[Subsystem]:
    """The subsystems whose state is known by their conditions."""
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
    """The configuration's state. conditions: those of all subsystems; the configuration's own do not make it fail."""
    if status.problem is not None:
        return Subsystem(Part.CONFIGURATION, False, f"it cannot be read: {status.problem.what}", status.problem.hint)
    if not status.ok:
        count = len(status.findings)
        says = (
            f"the newest commit has {count} mistake{'s' if count != 1 else ''}" if count else "nothing is applied yet"
        )
        return Subsystem(Part.CONFIGURATION, False, says, "danube config status")
    waiting = sum(1 for one in conditions if one.reference not in _PART_OF)
    says = "the newest commit is applied"
    if waiting:
        says = f"{says}; {waiting} condition{'s' if waiting != 1 else ''} must be fixed"
    return Subsystem(Part.CONFIGURATION, True, says)


def of_disk(free_bytes: int, total_bytes: int) -> Subsystem:
    """The state of the file system with artifacts, logs and images."""
    free = f"{free_bytes / 1000**3:.1f} GB free"
    if free_bytes < LOW_DISK_BYTES or free_bytes < LOW_DISK_SHARE * total_bytes:
        return Subsystem(
            Part.DISK,
            False,
            f"only {free}",
            "make room: danube image list, danube image remove NAME",
        )
    return Subsystem(Part.DISK, True, free)


def of_pods(newest: Sequence[Reason]) -> Subsystem:
    """The state of pods. newest: the reasons of the last ended jobs, newest first. It is not ok where the newest job
    lost its pod; a lost pod before a job that ended normally does not count."""
    if not newest:
        return Subsystem(Part.PODS, True, "no job has ended yet")
    lost = sum(reason.is_of_infrastructure for reason in newest)
    says = "none of the last jobs lost its pod"
    if lost:
        says = f"{lost} of the last {len(newest)} jobs lost {'its pod' if lost == 1 else 'their pods'}"
    ok = not newest[0].is_of_infrastructure
    return Subsystem(Part.PODS, ok, says, "" if ok else "danube doctor")


def of_check(health: PartHealth, well: str) -> Subsystem:
    """A subsystem that is known by its check. well: the sentence where nothing is wrong."""
    if health.ok:
        return Subsystem(health.part, True, well, since=health.since)
    first, more = health.conditions[0], len(health.conditions) - 1
    says = f"{first.what} (and {more} more)" if more else first.what
    return Subsystem(health.part, False, says, first.hint, health.since)
