"""The text of notifications: a job's end as a mail, as a chat message, and as JSON for another program.

Pure: senders add addresses, signatures and retries. The same notification always gives the same text, so that a
repeated delivery can be recognised.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from danube_pkg.core.jobs.environment import job_url
from danube_pkg.core.notifications.outbox import JobNotification
from danube_pkg.core.reasons import HINTS, Reason, Status, reason_named

MAX_MESSAGE = 2000
"""Characters of a failed job's message; the log has the rest."""


def headline(notification: JobNotification, *, recovered: bool) -> str:
    """One line: which pipeline, how it ended, where."""
    if notification.status is Status.RUNNING:
        how = notification.message
    else:
        how = "succeeded again" if recovered else _HOW.get(notification.status, str(notification.status))
    where = _where(notification)
    return f"{notification.pipeline} {how}{f' on {where}' if where else ''}"


_HOW: Mapping[Status, str] = {
    Status.SUCCESS: "succeeded",
    Status.FAILURE: "failed",
    Status.TIMEOUT: "timed out",
    Status.CANCELLED: "was cancelled",
}


def mail(
    notification: JobNotification, sender: str, receivers: tuple[str, ...], external_url: str, *, recovered: bool
) -> EmailMessage:
    """A message of plain text. A repeated delivery has the same Message-ID, so that mail programs show it once."""
    from email.headerregistry import Address  # its parser is large, and mails are rare

    message = EmailMessage()
    message["From"] = Address(display_name="Danube", addr_spec=sender)
    message["To"] = [Address(addr_spec=one) for one in receivers]
    message["Subject"] = f"[danube] {_one_line(headline(notification, recovered=recovered))}"
    wait = f".{notification.approval}" if notification.status is Status.RUNNING else ""
    message["Message-ID"] = f"<{notification.job_id}.{notification.status}{wait}@danube>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Danube-Job"] = notification.job_id
    message.set_content("\n".join(_lines(notification, external_url, recovered=recovered)) + "\n")
    return message


def chat(notification: JobNotification, external_url: str, *, recovered: bool) -> bytes:
    """The body for an incoming webhook in Slack's format, which Mattermost, Rocket.Chat and others accept too."""
    url = job_url(notification.job_id, external_url)
    text = _escaped(headline(notification, recovered=recovered))
    lines = [f"{_MARK.get(notification.status, '')} {f'<{url}|{text}>' if url else text}".strip()]
    if notification.status is Status.RUNNING:
        lines += [f"Its approvers decide on its page, or with: danube approve {notification.job_id} [--reject]", ""]
    elif notification.message and notification.status is not Status.SUCCESS:
        lines.append(_escaped(notification.message[:MAX_MESSAGE]))
    return json.dumps({"text": "\n".join(lines)}).encode()


_MARK: Mapping[Status, str] = {
    Status.SUCCESS: ":white_check_mark:",
    Status.FAILURE: ":x:",
    Status.TIMEOUT: ":hourglass:",
    Status.CANCELLED: ":no_entry_sign:",
    Status.RUNNING: ":raised_hand:",
}


def document(notification: JobNotification, external_url: str, *, recovered: bool) -> bytes:
    """The body of the generic webhook: a flat JSON object with the job's fields as the API names them."""
    return json.dumps(
        {
            "type": "job.waiting" if notification.status is Status.RUNNING else "job.ended",
            "job": notification.job_id,
            "pipeline": notification.pipeline,
            "status": str(notification.status),
            "reason": notification.reason,
            "message": notification.message,
            "recovered": recovered,
            "repository": notification.repository,
            "commit_sha": notification.commit_sha,
            "ref": notification.ref,
            "trigger": notification.trigger,
            "actor": notification.actor,
            "pull_request": notification.pull_request,
            "created_at": _iso(notification.created_at),
            "started_at": _iso(notification.started_at),
            "finished_at": _iso(notification.finished_at),
            "url": job_url(notification.job_id, external_url) or None,
        },
        separators=(",", ":"),
    ).encode()


def _lines(notification: JobNotification, external_url: str, *, recovered: bool) -> list[str]:
    facts: list[tuple[str, Any]] = [
        ("Job", notification.job_id),
        ("Commit", notification.commit_sha),
        ("Where", _where(notification)),
        ("Started by", notification.actor or notification.trigger),
        ("Ended", _iso(notification.finished_at)),
    ]
    lines = [headline(notification, recovered=recovered) + ".", ""]
    if notification.status is Status.RUNNING:
        lines += [f"Its approvers decide on its page, or with: danube approve {notification.job_id} [--reject]", ""]
    elif notification.message and notification.status is not Status.SUCCESS:
        lines += [notification.message[:MAX_MESSAGE], ""]
        hint = HINTS.get(reason_named(notification.reason, Reason.NONE))
        lines += [f"What to try: {hint}", ""] if hint else []
    lines += [f"{name + ':':<12}{value}" for name, value in facts if value]
    url = job_url(notification.job_id, external_url)
    return [*lines, "", url or f"danube logs {notification.job_id}"]


def _where(notification: JobNotification) -> str:
    if notification.pull_request is not None:
        return f"pull request {notification.pull_request.get('number')}"
    return notification.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _iso(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds is not None else None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _escaped(text: str) -> str:
    """The text with Slack's control characters escaped, so that a branch's name cannot mention users."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
