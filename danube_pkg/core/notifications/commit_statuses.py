"""What a commit's status says: one context for each pipeline and kind of job, and in it the worst of the newest jobs.

    danube/PIPELINE/push    jobs of branches: pushes, schedules, manual starts, ends of other pipelines
    danube/PIPELINE/tag     jobs of tags
    danube/PIPELINE/pr      jobs of pull requests

One commit may be the head of several branches or pull requests; a check that a forge requires must not be green because
one of them is. A job that was superseded, or whose pull request was closed, counts only where there is no other.
"""

from collections.abc import Iterable, Mapping

from danube_pkg.core.jobs.environment import job_url
from danube_pkg.core.notifications.outbox import JobNotification
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.forges import CommitState, CommitStatus

SKIPPED = "skipped"
"""The reason of a notification without a job: its pipeline had nothing to do."""

_STATES: Mapping[Status, CommitState] = {
    Status.PENDING: CommitState.PENDING,
    Status.RUNNING: CommitState.RUNNING,
    Status.SUCCESS: CommitState.SUCCESS,
    Status.FAILURE: CommitState.FAILURE,
    Status.CANCELLED: CommitState.CANCELLED,
    Status.TIMEOUT: CommitState.FAILURE,
}

_WORST_FIRST = (
    Status.FAILURE,
    Status.TIMEOUT,
    Status.CANCELLED,
    Status.PENDING,
    Status.RUNNING,
    Status.SUCCESS,
)


def kind_of(notification: JobNotification) -> str:
    """The last part of a status's context: push, tag or pr."""
    if notification.pull_request is not None:
        return "pr"
    return "tag" if notification.ref.startswith("refs/tags/") else "push"


def worst_of(newest: Iterable[JobNotification]) -> JobNotification:
    """What a context shows. newest: the newest notification of each ref, oldest first, at least one."""
    known = list(newest)
    counted = [one for one in known if one.reason != Reason.SUPERSEDED] or known
    return min(reversed(counted), key=lambda one: _WORST_FIRST.index(one.status))


def commit_status(notification: JobNotification, external_url: str) -> CommitStatus:
    """The status that a job gives its commit: state, reason and the job's page. external_url: "" where it is not
    known."""
    url = job_url(notification.job_id, external_url)
    context = f"danube/{notification.pipeline}/{kind_of(notification)}"
    return CommitStatus(_STATES[notification.status], context, _description(notification), url, notification.ref)


def _description(notification: JobNotification) -> str:
    took = ""
    if notification.started_at is not None and notification.finished_at is not None:
        took = f" after {max(0, round(notification.finished_at - notification.started_at))} s"
    match notification.status:
        case Status.PENDING if notification.reason == Reason.APPROVAL_REQUIRED:
            return "waits for approval of this commit (needs the level write)"
        case Status.PENDING:
            return "waits in the queue"
        case Status.RUNNING if notification.reason == Reason.ENVIRONMENT_APPROVAL:
            return notification.message
        case Status.RUNNING:
            return "is running"
        case Status.SUCCESS if notification.reason == SKIPPED:
            return f"skipped: {notification.message}"
        case Status.SUCCESS:
            return f"succeeded{took}{f': {notification.tests}' if notification.tests else ''}"
    how = {Status.FAILURE: "failed", Status.TIMEOUT: "timed out"}.get(notification.status, str(notification.status))
    why = notification.tests or notification.message or notification.reason
    return f"{how}{took}: {why}" if why else f"{how}{took}"
