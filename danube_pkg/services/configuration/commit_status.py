"""Publishes the configuration's outcome as a commit status, where the forge of its repository supports that.

A forge that fails or is slow does not fail a sync.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import NotFound, PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forges import CommitState, CommitStatus
from danube_pkg.core.repositories.ports import CommitStatuses

CONTEXT = "danube/configuration"
TIMEOUT_SECONDS = 15.0
"""Bound of one report: a slow forge must not delay the next sync."""

MAX_TRIES = 5
"""Tries for one revision, one at each sync; then the condition stays, and the next revision is reported again."""


class ConfigurationStatusReporter:
    """Reports each revision once. A refusal of the forge is a condition. is_silent: whether the forge may not be
    written to at present."""

    def __init__(
        self, statuses: CommitStatuses, target_url: str = "", is_silent: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        self._is_silent = is_silent
        self._statuses = statuses
        self._target_url = target_url
        self._reported: tuple[str, bool] = ("", False)
        """A revision, and whether it is valid."""
        self._tries = 0
        self._conditions: Sequence[Condition] = ()

    async def conditions(self) -> Sequence[Condition]:
        """Why the forge did not accept the newest revision's status."""
        return self._conditions

    async def report(self, repository: str, status: ConfigurationStatus) -> None:
        """Publish the outcome, unless it was reported already. A refusal becomes a condition, not an error."""
        outcome = (status.seen_revision, not status.findings)
        if not status.seen_revision or status.problem is not None or outcome == self._reported:
            return
        if self._is_silent is not None and await self._is_silent():
            return
        if outcome[0] != self._reported[0]:
            self._tries = 0
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._statuses.publish(repository, status.seen_revision, _commit_status(status, self._target_url))
        except NotFound:
            self._conditions = ()  # a directory or a plain Git server: it has no commit statuses
        except (PlatformError, TimeoutError) as error:
            self._tries += 1
            cause = str(error) or "it did not answer in time"
            hint = error.hint if isinstance(error, PlatformError) else ""
            self._conditions = (
                Condition("commit-status-refused", f"the configuration's commit status was refused: {cause}", hint),
            )
            if self._tries < MAX_TRIES:
                return
        else:
            self._conditions = ()
        self._reported, self._tries = outcome, 0


def _commit_status(status: ConfigurationStatus, target_url: str) -> CommitStatus:
    if not status.findings:
        return CommitStatus(CommitState.SUCCESS, CONTEXT, "applied", target_url)
    more = f" (and {len(status.findings) - 1} more)" if len(status.findings) > 1 else ""
    return CommitStatus(CommitState.FAILURE, CONTEXT, f"not applied: {status.findings[0]}{more}", target_url)
