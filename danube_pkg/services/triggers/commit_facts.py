"""What Git knows about the commits of an event: the message where the forge sends none, and the changed files.

The lists of files in payloads are not used: forges cap them, leave out what a forced push removed, and list one side of
a merge. What Git cannot say is unknown, and then a pipeline runs.
"""

from collections.abc import Sequence

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.repositories.revisions import MAX_AUTHOR, MAX_MESSAGE, first_line
from danube_pkg.core.triggers.ports import CommitReader
from danube_pkg.core.triggers.webhooks.events import PullRequest, Push, WebhookEvent
from danube_pkg.core.triggers.webhooks.payload import is_none
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import replace
from danube_pkg.services.secrets import Secrets

_log = EventLog("danube.triggers")


class CommitFacts:
    """repository: in each method, its URL in a pipeline. secrets: mask what is stored."""

    def __init__(self, commits: CommitReader, secrets: Secrets) -> None:
        self._commits = commits
        self._secrets = secrets

    async def described(self, event: WebhookEvent, repository: str) -> WebhookEvent:
        """The event with its head commit's message and author, which GitHub and Gitea do not send with a pull
        request."""
        if not isinstance(event, Push | PullRequest) or event.message:
            return event
        try:
            found = await self._secrets.masked(await self._commits.commit_text(repository, event.commit_sha))
        except PlatformError as error:
            _log.warning("commit-unknown", repository=event.repository.name, commit=event.commit_sha, cause=str(error))
            return event
        subject, author = first_line(found.message, MAX_MESSAGE), first_line(found.author, MAX_AUTHOR)
        return replace(event, message=found.message, subject=subject, author=event.author or author)

    async def changed_files(self, event: WebhookEvent, repository: str) -> Sequence[str] | None:
        """The files that a push or a pull request changes; None for unknown."""
        try:
            match event:
                case Push() if event.before and not is_none(event.before):
                    return await self._commits.changed_between(repository, event.before, event.commit_sha)
                case PullRequest():
                    return await self._commits.changed_files(repository, event.target_branch, event.commit_sha)
        except PlatformError as error:
            _log.warning("changed-files-unknown", repository=repository, cause=str(error))
        return None
