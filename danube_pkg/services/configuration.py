"""Read → validate → apply, all or nothing: a configuration with any mistake changes nothing, the last good one stays.

One sync at a time. `follow` looks again and again; `sync` may be called beside it at any moment (a webhook, a person).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from danube_pkg.core.configuration import ConfigSpec, DesiredState, read_configuration
from danube_pkg.core.errors import DanubeError, Invalid
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.ports import Clock, ConfigurationSource, PipelineStore

_log = logging.getLogger("danube.configuration")


@dataclass(frozen=True, slots=True)
class ConfigurationStatus:
    """What a person asks: which revision is in force, which was seen last, and what is wrong with that one.

    problem: why the configuration could not be read at all; findings: what is wrong in it. Times are Unix seconds.
    """

    applied_revision: str = ""
    applied_at: float | None = None
    seen_revision: str = ""
    checked_at: float | None = None
    findings: tuple[Invalid, ...] = ()
    problem: DanubeError | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None and not self.findings and bool(self.applied_revision)


class Configuration:
    """The one that applies configuration; `state` is the last good one (None before the first).

    on_applied: called after each change, so that who depends on it looks again."""

    def __init__(
        self,
        source: ConfigurationSource,
        store: PipelineStore,
        clock: Clock,
        new_id: Callable[[], str],
        on_applied: Callable[[], None],
    ) -> None:
        self._source = source
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._on_applied = on_applied
        self._lock = asyncio.Lock()
        self._status = ConfigurationStatus()
        self._state: DesiredState | None = None

    @property
    def status(self) -> ConfigurationStatus:
        return self._status

    @property
    def state(self) -> DesiredState | None:
        return self._state

    @property
    def config(self) -> ConfigSpec:
        return self._state.config if self._state is not None else ConfigSpec()

    async def sync(self) -> ConfigurationStatus:
        """Look now. Mistakes and unreachable repositories are in the status, not raised."""
        async with self._lock:
            before = self._status
            self._status = await self._sync(before)
            _report(before, self._status)
            return self._status

    async def follow(self, interval_seconds: float) -> None:
        """Sync for ever."""
        while True:
            await self.sync()
            await self._clock.sleep(interval_seconds)

    async def _sync(self, before: ConfigurationStatus) -> ConfigurationStatus:
        now = self._clock.now()
        try:
            files = await self._source.read()
        except DanubeError as error:
            return replace(before, checked_at=now, problem=error)
        seen = replace(before, checked_at=now, seen_revision=files.revision, findings=(), problem=None)
        if files.revision == before.applied_revision:
            return seen
        state, findings = read_configuration(files)
        if state is None:
            return replace(seen, findings=findings)
        try:
            await self._store.apply_pipelines([await self._with_id(one) for one in state.pipelines], files.revision)
        except DanubeError as error:
            return replace(seen, problem=error)
        self._state = state
        self._on_applied()
        return replace(seen, applied_revision=files.revision, applied_at=now)

    async def _with_id(self, pipeline: Pipeline) -> Pipeline:
        """A pipeline keeps its id for ever, also when it left the configuration and comes back."""
        known = await self._store.load_pipeline(pipeline.name)
        return replace(pipeline, id=known.id if known is not None else self._new_id())


def _report(before: ConfigurationStatus, after: ConfigurationStatus) -> None:
    """Say what changed, once: a mistake that stays is not repeated at every look."""
    if after.applied_revision != before.applied_revision:
        _log.info("configuration-applied", extra={"fields": {"revision": after.applied_revision}})
    if after.problem is not None and str(after.problem) != str(before.problem):
        fields = {"reference": after.problem.reference, "what": str(after.problem), "hint": after.problem.hint}
        _log.error("configuration-unreadable", extra={"fields": fields})
    if after.findings and (after.findings, after.seen_revision) != (before.findings, before.seen_revision):
        if [str(one) for one in after.findings] == [str(one) for one in before.findings]:
            return
        for finding in after.findings:
            fields = {"revision": after.seen_revision, "what": str(finding), "hint": finding.hint}
            _log.error("configuration-invalid", extra={"fields": fields})
