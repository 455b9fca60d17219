"""How a job's end reads: as a mail, as a message in a chat, as JSON for another program. Pure; whoever delivers it adds the rest."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from danube_pkg.core.notifications.outbox import JobNews
from danube_pkg.core.reasons import HINTS, Reason, Status, reason_named

MAX_MESSAGE = 2000
"""Of what a failed job says; the log has the rest."""


def headline(news: JobNews, *, recovered: bool) -> str:
    """One line: which pipeline, how it ended, where."""
    how = "succeeded again" if recovered else _HOW.get(news.status, str(news.status))
    where = _where(news)
    return f"{news.pipeline} {how}{f' on {where}' if where else ''}"


_HOW: Mapping[Status, str] = {
    Status.SUCCESS: "succeeded",
    Status.FAILURE: "failed",
    Status.TIMEOUT: "took too long",
    Status.CANCELLED: "was cancelled",
}


def job_url(news: JobNews, external_url: str) -> str:
    """The job's page, "" where nobody said how the server is reached."""
    return f"{external_url.rstrip('/')}/jobs/{news.job_id}" if external_url else ""


def mail(news: JobNews, sender: str, receivers: tuple[str, ...], external_url: str, *, recovered: bool) -> EmailMessage:
    """A message of plain text. A second try of the same entry has the same Message-ID, so that a reader shows one."""
    from email.headerregistry import Address  # its parser is large, and mails are rare

    message = EmailMessage()
    message["From"] = Address(display_name="Danube", addr_spec=sender)
    message["To"] = [Address(addr_spec=one) for one in receivers]
    message["Subject"] = f"[danube] {_one_line(headline(news, recovered=recovered))}"
    message["Message-ID"] = f"<{news.job_id}.{news.status}@danube>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Danube-Job"] = news.job_id
    message.set_content("\n".join(_lines(news, external_url, recovered=recovered)) + "\n")
    return message


def chat(news: JobNews, external_url: str, *, recovered: bool) -> bytes:
    """The body for an incoming webhook as Slack has them; Mattermost, Rocket.Chat and others take the same."""
    url = job_url(news, external_url)
    text = _escaped(headline(news, recovered=recovered))
    lines = [f"{_MARK.get(news.status, '')} {f'<{url}|{text}>' if url else text}".strip()]
    if news.message and news.status is not Status.SUCCESS:
        lines.append(_escaped(news.message[:MAX_MESSAGE]))
    return json.dumps({"text": "\n".join(lines)}).encode()


_MARK: Mapping[Status, str] = {
    Status.SUCCESS: ":white_check_mark:",
    Status.FAILURE: ":x:",
    Status.TIMEOUT: ":hourglass:",
    Status.CANCELLED: ":no_entry_sign:",
}


def document(news: JobNews, external_url: str, *, recovered: bool) -> bytes:
    """The body of the generic webhook: what the API says of a job, flat."""
    return json.dumps(
        {
            "type": "job.ended",
            "job": news.job_id,
            "pipeline": news.pipeline,
            "status": str(news.status),
            "reason": news.reason,
            "message": news.message,
            "recovered": recovered,
            "repository": news.repository,
            "commit_sha": news.commit_sha,
            "ref": news.ref,
            "trigger": news.trigger,
            "actor": news.actor,
            "pull_request": news.pull_request,
            "created_at": _iso(news.created_at),
            "started_at": _iso(news.started_at),
            "finished_at": _iso(news.finished_at),
            "url": job_url(news, external_url) or None,
        },
        separators=(",", ":"),
    ).encode()


def _lines(news: JobNews, external_url: str, *, recovered: bool) -> list[str]:
    facts: list[tuple[str, Any]] = [
        ("Job", news.job_id),
        ("Commit", news.commit_sha),
        ("Where", _where(news)),
        ("Started by", news.actor or news.trigger),
        ("Ended", _iso(news.finished_at)),
    ]
    lines = [headline(news, recovered=recovered) + ".", ""]
    if news.message and news.status is not Status.SUCCESS:
        lines += [news.message[:MAX_MESSAGE], ""]
        hint = HINTS.get(reason_named(news.reason, Reason.NONE))
        lines += [f"What to try: {hint}", ""] if hint else []
    lines += [f"{name + ':':<12}{value}" for name, value in facts if value]
    url = job_url(news, external_url)
    return [*lines, "", url or f"danube logs {news.job_id}"]


def _where(news: JobNews) -> str:
    if news.pull_request is not None:
        return f"pull request {news.pull_request.get('number')}"
    return news.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _iso(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds is not None else None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _escaped(text: str) -> str:
    """What Slack's text format gives a meaning to: nobody is to be paged by the name of a branch."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
