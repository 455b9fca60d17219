"""Who is told how a job ended."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule


class Occasion(StrEnum):
    """When somebody is told."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    ALWAYS = "always"


_DEFAULT = (Occasion.FAILURE, Occasion.RECOVERY)
_WHEN = rule("When: a job that failed, the first success after a failure, or every end.", key="on")


@dataclass(frozen=True, slots=True)
class EmailNotification:
    """A message by the server's `smtp`."""

    TYPE: ClassVar[str] = "email"
    to: tuple[str, ...] = field(metadata=rule("Addresses.", **patterns.email))
    when: tuple[Occasion, ...] = field(default=_DEFAULT, metadata=_WHEN)


@dataclass(frozen=True, slots=True)
class SlackNotification:
    """A message to an incoming webhook as Slack has them (Mattermost and others take the same)."""

    TYPE: ClassVar[str] = "slack"
    url_secret: str = field(metadata=rule("The secret that holds the webhook's URL.", **patterns.secret))
    when: tuple[Occasion, ...] = field(default=_DEFAULT, metadata=_WHEN)


@dataclass(frozen=True, slots=True)
class WebhookNotification:
    """A signed POST of the job as JSON."""

    TYPE: ClassVar[str] = "webhook"
    url: str = field(metadata=rule("Where to.", **(patterns.web_url | {"pattern": r"https?://[^\s/@]+(/\S*)?"})))
    signing_secret: str = field(metadata=rule("The secret that the message is signed with.", **patterns.secret))
    when: tuple[Occasion, ...] = field(default=_DEFAULT, metadata=_WHEN)


Notification = EmailNotification | SlackNotification | WebhookNotification
