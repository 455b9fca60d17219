"""Read → validate → diff → apply, all or nothing: a configuration with any mistake changes nothing.

One sync at a time. `follow` polls the repository; `sync` (a user's request) and `pushed` (a webhook) may be called
beside it at any moment. What was applied is loaded after a restart, also while the repository is unreachable.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.changes import Change, diff
from danube_pkg.core.configuration.plan import ConfigurationPlan, plan
from danube_pkg.core.configuration.ports import ConfigurationSource, ConfigurationStore
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.configuration.state import Applied
from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import Defect, PlatformError, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.urls import same_repository
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Streak, Timing, for_ever
from danube_pkg.kit.records import replace
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.configuration.commit_status import ConfigurationStatusReporter

RETRY_SECONDS = 2.0
"""The first pause after a repository that did not answer, as when server and forge are started together; it is doubled
up to the interval."""

_log = EventLog("danube.configuration")


class ConfigurationSync:
    """Reads the configuration repository and applies what changed there.

    applied: where everything else reads the configuration. reporter: publishes the outcome as a commit status.
    """

    def __init__(
        self,
        repository: ConfigRepository,
        source: ConfigurationSource,
        store: ConfigurationStore,
        applied: AppliedConfiguration,
        timing: Timing,
        reporter: ConfigurationStatusReporter | None = None,
    ) -> None:
        self.repository = repository
        self.applied = applied
        self._source = source
        self._store = store
        self._timing = timing
        self._reporter = reporter
        self.outcomes = Tally()
        """Syncs by `success` (the newest revision is applied) and `failure`."""
        self._retries = Backoff(RETRY_SECONDS, max(RETRY_SECONDS, repository.sync_interval), timing.random)
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._status = ConfigurationStatus(applied_revision=applied.revision.revision, applied_at=applied.revision.at)

    @property
    def status(self) -> ConfigurationStatus:
        return self._status

    @property
    def interval_seconds(self) -> float:
        return self.repository.sync_interval

    # --- reading and applying

    async def sync(self) -> ConfigurationStatus:
        """Sync now. Mistakes and unreachable repositories are in the status, not raised."""
        status = await self._sync()
        self._wanted.set()  # `follow` reports it to the forge
        return status

    def retry(self) -> None:
        """Sync soon, without waiting for the interval."""
        self._wanted.set()

    async def follow(self) -> None:
        """Sync until cancelled: at each interval, and after each push; report the outcome to the forge."""
        await for_ever(
            self._sync_and_report,
            Streak("configuration-sync", self._timing, log=_log.logger),
            self._timing,
            wake=self._wanted,
        )

    async def _sync_and_report(self) -> float:
        """The answer is how many seconds to wait before the next sync."""
        status = await self._sync()
        if self._reporter is not None:
            await self._reporter.report(self.repository.url, status)
        if isinstance(status.problem, Retryable):
            return min(self._retries.next(), self.repository.sync_interval)
        self._retries.reset()
        return self.repository.sync_interval

    def is_own(self, repository: str) -> bool:
        """Whether that URL names the configuration repository."""
        return same_repository(repository, self.repository.url)

    def pushed(self, repository: str, branch: str) -> bool:
        """A webhook reports a push; a push to the configuration's branch starts a sync. Whether it was one."""
        own = self.repository
        if not same_repository(repository, own.url) or (own.branch and branch and branch != own.branch):
            return False
        self._wanted.set()
        return True

    async def _sync(self) -> ConfigurationStatus:
        async with self._lock:
            before = self._status
            self._status = await self._next_status(before)
            _log_problems(before, self._status)
            self.outcomes.count("success" if self._status.ok else "failure")
            return self._status

    async def conditions(self) -> Sequence[Condition]:
        """Why the newest configuration is not applied."""
        status, applied = self._status, self._status.applied_revision
        meanwhile = f"revision {applied[:12]} stays applied" if applied else "no configuration is applied yet"
        if (problem := status.problem) is not None:
            what = f"the configuration cannot be read, and {meanwhile}: {problem}"
            return (Condition("configuration-unreadable", what, problem.hint),)
        if status.findings:
            count = len(status.findings)
            what = f"the configuration has {count} finding{'s' if count > 1 else ''}, and {meanwhile}: {status.findings[0]}"
            return (Condition("configuration-invalid", what, "danube config status lists every finding"),)
        return ()

    async def _next_status(self, before: ConfigurationStatus) -> ConfigurationStatus:
        """Read, validate and apply; the status after it. Whatever fails, the applied configuration stays."""
        try:
            return await self._read_and_apply(before)
        except Exception as error:  # noqa: BLE001 - the server runs, and starts, with the configuration it has
            problem = Defect(
                "configuration-sync-failed",
                "the configuration could not be read or applied",
                cause=f"{type(error).__name__}: {error}",
                hint="this is a defect of Danube: report it with the traceback in the server's log",
            )
            if str(problem) != str(before.problem):
                _log.exception("configuration-sync-failed")
        return replace(before, checked_at=self._timing.clock.now(), seen_revision="", problem=problem)

    async def _read_and_apply(self, before: ConfigurationStatus) -> ConfigurationStatus:
        now = self._timing.clock.now()
        # A revision is read once. After a problem, or a restart, it is read again: its findings are not stored.
        known = before.seen_revision if before.problem is None else ""
        try:
            files = await self._source.read(known)
        except PlatformError as error:
            return replace(before, checked_at=now, problem=error)
        if files is None:
            return replace(before, checked_at=now, read_at=now)
        seen = replace(before, checked_at=now, read_at=now, seen_revision=files.revision, findings=(), problem=None)
        # A large configuration takes seconds, in which the event loop must answer other requests.
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

    # --- planning

    async def plan(self, files: Mapping[str, bytes]) -> ConfigurationPlan:
        """The changes that applying these files would make now."""

        def work() -> ConfigurationPlan:
            return plan(self._source.parse(files), self.applied.state)

        return await asyncio.to_thread(work)


def _log_problems(before: ConfigurationStatus, after: ConfigurationStatus) -> None:
    """Log what is wrong, once: a mistake that stays is not repeated at each sync."""
    if (problem := after.problem) is not None and str(problem) != str(before.problem):
        _log.error("configuration-unreadable", reference=problem.reference, what=str(problem), hint=problem.hint)
    if after.findings and (after.findings, after.seen_revision) != (before.findings, before.seen_revision):
        if [str(one) for one in after.findings] == [str(one) for one in before.findings]:
            return
        for finding in after.findings:
            _log.error("configuration-invalid", revision=after.seen_revision, what=str(finding), hint=finding.hint)


def _log_changes(changes: tuple[Change, ...], revision: str) -> None:
    counts = Counter(str(change.action) for change in changes)
    _log.info("configuration-applied", revision=revision, **counts)
