"""Receivers of notifications about the ends of jobs, as configured."""

from enum import StrEnum
from typing import Annotated, ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.kit.records import Record


class Occasion(StrEnum):
    """When a notification is sent."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    APPROVAL = "approval"
    ALWAYS = "always"


_DEFAULT = (Occasion.FAILURE, Occasion.RECOVERY, Occasion.APPROVAL)
_WHEN = rule(
    "When it is sent: after a failure, after the first success following one, when a job waits for approval of an"
    " environment, or after every end (always).",
    key="on",
)


class EmailNotification(Record):
    """An e-mail, sent through the server's `smtp`."""

    TYPE: ClassVar[str] = "email"
    to: Annotated[tuple[str, ...], rule("Addresses of the receivers.", **patterns.mail_address)]
    when: Annotated[tuple[Occasion, ...], _WHEN] = _DEFAULT


class SlackNotification(Record):
    """A message to an incoming webhook of Slack, Mattermost and others with the same format."""

    TYPE: ClassVar[str] = "slack"
    url_secret: Annotated[str, rule("The secret that holds the webhook's URL.", **patterns.secret)]
    when: Annotated[tuple[Occasion, ...], _WHEN] = _DEFAULT


class WebhookNotification(Record):
    """A signed POST request with the job as JSON."""

    TYPE: ClassVar[str] = "webhook"
    url: Annotated[
        str, rule("The URL of the receiver.", **(patterns.web_url | {"pattern": r"https?://[^\s/@]+(/\S*)?"}))
    ]
    signing_secret: Annotated[str, rule("The secret that the message is signed with.", **patterns.secret)]
    when: Annotated[tuple[Occasion, ...], _WHEN] = _DEFAULT


Notification = EmailNotification | SlackNotification | WebhookNotification
