"""Who is told how a job ended."""

from enum import StrEnum
from typing import Annotated, ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.kit.records import Record


class Occasion(StrEnum):
    """When somebody is told."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    ALWAYS = "always"


_DEFAULT = (Occasion.FAILURE, Occasion.RECOVERY)
_WHEN = rule("When: a job that failed, the first success after a failure, or every end.", key="on")


class EmailNotification(Record):
    """A message by the server's `smtp`."""

    TYPE: ClassVar[str] = "email"
    to: Annotated[tuple[str, ...], rule("Addresses.", **patterns.email)]
    when: Annotated[tuple[Occasion, ...], _WHEN] = _DEFAULT


class SlackNotification(Record):
    """A message to an incoming webhook as Slack has them (Mattermost and others take the same)."""

    TYPE: ClassVar[str] = "slack"
    url_secret: Annotated[str, rule("The secret that holds the webhook's URL.", **patterns.secret)]
    when: Annotated[tuple[Occasion, ...], _WHEN] = _DEFAULT


class WebhookNotification(Record):
    """A signed POST of the job as JSON."""

    TYPE: ClassVar[str] = "webhook"
    url: Annotated[str, rule("Where to.", **(patterns.web_url | {"pattern": r"https?://[^\s/@]+(/\S*)?"}))]
    signing_secret: Annotated[str, rule("The secret that the message is signed with.", **patterns.secret)]
    when: Annotated[tuple[Occasion, ...], _WHEN] = _DEFAULT


Notification = EmailNotification | SlackNotification | WebhookNotification
