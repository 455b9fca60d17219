"""Approvals of environments: a job that runs waits in its middle for a user's decision about `production`.

They differ from the approval of a commit, which untrusted code needs before its job starts (`Trigger.approved_by`).
"""

from enum import StrEnum

from danube_pkg.kit.records import Record, replace

MAX_APPROVALS = 20
"""The most that one job may ask for: as many as a pipeline has environments."""

MAX_REASON = 500
"""Characters of what a user writes beside a decision."""

LONGEST_WAIT_SECONDS = 30 * 86400
"""The bound of all waits of a job together: its pod takes memory and disk for as long."""


class ApprovalState(StrEnum):
    """WAITING: for a decision. APPROVED: recorded; the job waits for a slot. GRANTED: the job continues. The others are
    ends: REJECTED by a user, EXPIRED without a decision, CANCELLED with its job."""

    WAITING = "waiting"
    APPROVED = "approved"
    GRANTED = "granted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_OPEN = (ApprovalState.WAITING, ApprovalState.APPROVED)


class EnvironmentApproval(Record):
    """One call of `approval()`. sequence: the coordinator's number of the call. Times in Unix seconds; expires_at: when
    the wait for a decision ends. decided_by: the user who approved or rejected it, "" before. reason: in that user's
    words."""

    sequence: int
    environment: str
    requested_at: float
    expires_at: float
    state: ApprovalState = ApprovalState.WAITING
    decided_by: str = ""
    decided_at: float | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the job waits: for the decision, or behind it for a slot."""
        return self.state in _OPEN

    def moved(self, seconds: float) -> "EnvironmentApproval":
        """By a clock that was set by so many seconds, where the job still waits."""
        if not self.is_open:
            return self
        return replace(self, requested_at=self.requested_at + seconds, expires_at=self.expires_at + seconds)


Approvals = tuple[EnvironmentApproval, ...]


def open_approval(approvals: Approvals) -> EnvironmentApproval | None:
    """The one that the job waits for: there is at most one."""
    return next((one for one in approvals if one.is_open), None)


def waits_for_decision(approvals: Approvals) -> bool:
    """Whether a user's decision is awaited."""
    approval = open_approval(approvals)
    return approval is not None and approval.state is ApprovalState.WAITING


def with_approval(approvals: Approvals, changed: EnvironmentApproval) -> Approvals:
    """With this one in the place of the one with its sequence, or behind the others."""
    others = tuple(one for one in approvals if one.sequence != changed.sequence)
    return tuple(sorted((*others, changed), key=lambda one: one.sequence))


def closed(approvals: Approvals) -> Approvals:
    """When the job ends: what is open is cancelled with it."""
    return tuple(replace(one, state=ApprovalState.CANCELLED) if one.is_open else one for one in approvals)


def granted_environments(approvals: Approvals) -> tuple[str, ...]:
    """The environments that the job may act on, in the order of their decisions."""
    granted = [one for one in approvals if one.state is ApprovalState.GRANTED]
    return tuple(dict.fromkeys(one.environment for one in granted))
