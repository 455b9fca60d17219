"""The configuration's outcome as a commit status on its repository's forge, where that takes one; never in the way of a sync."""

import asyncio
from collections.abc import Sequence

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import NotFound, PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forges import CommitState, CommitStatus
from danube_pkg.core.repositories.ports import CommitStatuses

CONTEXT = "danube/configuration"
TIMEOUT_SECONDS = 15.0
"""For all of it: a forge that is slow to take a status must not delay the next look at its repository."""

MAX_TRIES = 5
"""Of one revision, one each sync interval; then the condition stays and the next revision is told."""


class ConfigurationStatusReporter:
    """Each revision is reported once; `conditions` gives what the forge refused."""

    def __init__(self, statuses: CommitStatuses, target_url: str = "") -> None:
        self._statuses = statuses
        self._target_url = target_url
        self._told: tuple[str, bool] = ("", False)
        self._tries = 0
        self._conditions: Sequence[Condition] = ()

    async def conditions(self) -> Sequence[Condition]:
        """Why the forge took no status of the newest revision."""
        return self._conditions

    async def report(self, repository: str, status: ConfigurationStatus) -> None:
        """Tell it, if it has not been told. A refusal becomes a condition, not an error."""
        news = (status.seen_revision, not status.findings)
        if not status.seen_revision or status.problem is not None or news == self._told:
            return
        if news[0] != self._told[0]:
            self._tries = 0
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._statuses.publish(repository, status.seen_revision, _commit_status(status, self._target_url))
        except NotFound:
            self._conditions = ()  # no forge is known for it: a directory, a plain server
        except (PlatformError, TimeoutError) as error:
            self._tries += 1
            cause = str(error) or "it did not answer in time"
            hint = error.hint if isinstance(error, PlatformError) else ""
            self._conditions = (
                Condition("commit-status-refused", f"the forge took no status of the configuration: {cause}", hint),
            )
            if self._tries < MAX_TRIES:
                return
        else:
            self._conditions = ()
        self._told, self._tries = news, 0


def _commit_status(status: ConfigurationStatus, target_url: str) -> CommitStatus:
    if not status.findings:
        return CommitStatus(CommitState.SUCCESS, CONTEXT, "applied", target_url)
    more = f" (and {len(status.findings) - 1} more)" if len(status.findings) > 1 else ""
    return CommitStatus(CommitState.FAILURE, CONTEXT, f"not applied: {status.findings[0]}{more}", target_url)
