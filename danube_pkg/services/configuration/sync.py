"""Read → validate → diff → apply, all or nothing: a configuration with any mistake changes nothing, the last good one stays.

One sync at a time. `follow` looks again and again; `sync` and `pushed` may be called beside it at any moment (a person, a
webhook). What was applied is known again after a restart, also while the repository is away.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.changes import Change, diff
from danube_pkg.core.configuration.plan import ConfigurationPlan, plan
from danube_pkg.core.configuration.ports import ConfigurationSource, ConfigurationStore
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.configuration.state import Applied
from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.repositories.urls import same_repository
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import replace
from danube_pkg.services.configuration.commit_status import ConfigurationStatusReporter

_log = logging.getLogger("danube.configuration")


class ConfigurationSync:
    """Reads the configuration repository and applies what changed there.

    applied: where everything else reads the configuration. reporter: reports each revision's outcome to the repository's forge.
    """

    def __init__(
        self,
        repository: ConfigRepository,
        source: ConfigurationSource,
        store: ConfigurationStore,
        applied: AppliedConfiguration,
        clock: Clock,
        reporter: ConfigurationStatusReporter | None = None,
    ) -> None:
        self.repository = repository
        self.applied = applied
        self._source = source
        self._store = store
        self._clock = clock
        self._reporter = reporter
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._status = ConfigurationStatus(applied_revision=applied.revision.revision, applied_at=applied.revision.at)

    @property
    def status(self) -> ConfigurationStatus:
        return self._status

    # --- looking

    async def sync(self) -> ConfigurationStatus:
        """Look now. Mistakes and unreachable repositories are in the status, not raised."""
        status = await self._look()
        self._wanted.set()  # so that the forge is told as well
        return status

    async def follow(self) -> None:
        """Look for ever: at each interval, and when somebody has pushed; tell the forge what became of it."""
        while True:
            self._wanted.clear()
            try:
                status = await self._look()
                if self._reporter is not None:
                    await self._reporter.report(self.repository.url, status)
            except Exception as error:  # noqa: BLE001 - a bug must not end the looking; the next look may go well
                _log.exception("configuration-look-failed", extra={"fields": {"cause": str(error)}})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.repository.sync_interval):
                    await self._wanted.wait()

    def is_own(self, repository: str) -> bool:
        """Whether that URL names the configuration repository."""
        return same_repository(repository, self.repository.url)

    def pushed(self, repository: str, branch: str) -> bool:
        """Somebody pushed there (a webhook says): whether that is the configuration, which is then looked at at once."""
        own = self.repository
        if not same_repository(repository, own.url) or (own.branch and branch and branch != own.branch):
            return False
        self._wanted.set()
        return True

    async def _look(self) -> ConfigurationStatus:
        async with self._lock:
            before = self._status
            self._status = await self._sync(before)
            _report(before, self._status)
            return self._status

    async def _sync(self, before: ConfigurationStatus) -> ConfigurationStatus:
        now = self._clock.now()
        # A state with mistakes is read again, so that their list is whole after a restart as well.
        known = before.seen_revision if before.problem is None else ""
        try:
            files = await self._source.read(known)
        except PlatformError as error:
            return replace(before, checked_at=now, problem=error)
        if files is None:
            return replace(before, checked_at=now)
        seen = replace(before, checked_at=now, seen_revision=files.revision, findings=(), problem=None)
        # A large configuration takes seconds, in which the server must answer others.
        desired, findings = await asyncio.to_thread(read_configuration, files)
        if desired is None:
            return replace(seen, findings=findings)
        changes = await asyncio.to_thread(diff, desired, self.applied.state)
        applied = Applied(files.revision, now)
        try:
            if changes or files.revision != before.applied_revision:
                await self._store.apply_changes(changes, desired, applied)
        except PlatformError as error:
            return replace(seen, seen_revision="", problem=error)
        _log_changes(changes, files.revision)
        self.applied.replace(desired, applied)
        return replace(seen, applied_revision=files.revision, applied_at=now)

    # --- asking

    async def plan(self, files: Mapping[str, bytes]) -> ConfigurationPlan:
        """What applying these files would do, now."""

        def work() -> ConfigurationPlan:
            return plan(self._source.parse(files), self.applied.state)

        return await asyncio.to_thread(work)


def _report(before: ConfigurationStatus, after: ConfigurationStatus) -> None:
    """Say what is wrong, once: a mistake that stays is not repeated at every look."""
    if after.problem is not None and str(after.problem) != str(before.problem):
        fields = {"reference": after.problem.reference, "what": str(after.problem), "hint": after.problem.hint}
        _log.error("configuration-unreadable", extra={"fields": fields})
    if after.findings and (after.findings, after.seen_revision) != (before.findings, before.seen_revision):
        if [str(one) for one in after.findings] == [str(one) for one in before.findings]:
            return
        for finding in after.findings:
            fields = {"revision": after.seen_revision, "what": str(finding), "hint": finding.hint}
            _log.error("configuration-invalid", extra={"fields": fields})


def _log_changes(changes: tuple[Change, ...], revision: str) -> None:
    counts = Counter(str(change.action) for change in changes)
    _log.info("configuration-applied", extra={"fields": {"revision": revision, **counts}})
