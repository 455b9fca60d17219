"""Builds what decides whether the server is ready, and what repairs it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from danube_pkg.adapters.disk.probe import DirectoryDisk
from danube_pkg.adapters.git.mirrors import Mirrors
from danube_pkg.adapters.keys.keys import KeyDirectory
from danube_pkg.adapters.store import Database, SqliteServerState
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.runtime import RuntimeParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.errors import Conflict
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.ports import Disk
from danube_pkg.core.health.repairs import Repair
from danube_pkg.core.health.subsystems import Part
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.kit.heap import release_regularly
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record
from danube_pkg.kit.tallies import Tally
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health import ConditionSource, ServerConditions
from danube_pkg.services.health.checks import (
    Cached,
    ClockCheck,
    ConfigurationCheck,
    DatabaseCheck,
    DiskCheck,
    KeysCheck,
)
from danube_pkg.services.health.readiness import ServerReadiness
from danube_pkg.services.health.upkeep import RepairDone, Upkeep, Worker
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.identity.dex import Dex
from danube_pkg.services.jobs.effects.performer import EffectPerformer
from danube_pkg.services.retention import Retention

LARGE_LOG_BYTES = 256 * 1024**2
"""SQLite itself copies the write-ahead log back at 4 MiB; so large it only becomes where that has not worked."""

CleanUp = Callable[[Callable[[], bool]], Awaitable[int]]
"""Removes what is not needed until the given function says that it is enough. Returns how many things it removed."""

_log = EventLog("danube.health")


def build_readiness(
    store: Store,
    configuration: ConfigurationSync,
    dex: ConditionSource | None,
    checks: Mapping[Part, ConditionSource] | None = None,
) -> ServerReadiness:
    """dex: None where there is none. checks: those of the runtime."""
    directory, clock, state = str(store.directory), store.clock, SqliteServerState(store.database)
    keys = KeyDirectory(store.directory / "keys", store.keys.fingerprint)
    return ServerReadiness(
        {
            Part.DATABASE: Cached(DatabaseCheck(state, directory), clock),
            Part.DISK: Cached(DiskCheck(DirectoryDisk(store.directory), directory), clock),
            Part.KEYS: Cached(KeysCheck(keys), clock),
            Part.CLOCK: Cached(ClockCheck(state, clock), clock),
            Part.CONFIGURATION: ConfigurationCheck(configuration, clock),
            **{part: Cached(check, clock) for part, check in (checks or {}).items()},
            **({Part.LOGIN: dex} if dex is not None else {}),
        },
        clock,
    )


class _Findings:
    """What upkeep finds beside the checks: nothing that keeps the server from its work at this moment."""

    def __init__(self, database: Database, performer: EffectPerformer, mirrors: Mirrors) -> None:
        self._database = database
        self._performer = performer
        self._mirrors = mirrors

    async def conditions(self) -> Sequence[Condition]:
        found = []
        if (size := self._database.log_bytes()) > LARGE_LOG_BYTES:
            what = f"the database's write-ahead log has {size >> 20} MiB"
            found.append(Condition("database-log-large", what, "the server tries to shrink it; else restart it"))
        if stuck := self._performer.stuck():
            what = f"{len(stuck)} effects do not end, the first is {stuck[0].kind} of job {stuck[0].job_id}"
            found.append(Condition("effect-stuck", what, f"danube explain {stuck[0].job_id}"))
        if locks := await self._mirrors.stale_locks():
            what = f"{len(locks)} lock files of killed processes are left in mirrors of repositories: {locks[0]}"
            found.append(Condition("lock-stale", what, "the server removes them"))
        return found


class Observed(Record):
    """The parts of the server whose health is observed. sources: further conditions that are
    shown."""

    store: Store
    jobs: EngineParts
    mirrors: Mirrors
    configuration: ConfigurationSync
    dex: Dex | None
    audit: Audit
    runtime: RuntimeParts | None = None
    retention: Retention | None = None
    sources: Sequence[ConditionSource] = ()


class HealthParts(Record):
    """readiness: the subsystems without which no work can be done. conditions: everything that does not work."""

    readiness: ServerReadiness
    upkeep: Upkeep
    conditions: ServerConditions
    freed: Tally
    disk: Disk


class _Workers:
    """What makes each repair."""

    def __init__(self, parts: Observed) -> None:
        self._parts = parts
        self._room = parts.jobs.work.room
        self.freed = Tally()
        """Bytes that a clean-up has freed."""

    def by_repair(self) -> Mapping[Repair, Worker]:
        return {
            Repair.MAKE_ROOM: self._make_room,
            Repair.RETRY_SYNC: self._retry_sync,
            Repair.RESUME_EFFECTS: self._resume_effects,
            Repair.CLEAR_LOCKS: self._clear_locks,
            Repair.CHECKPOINT_DATABASE: self._checkpoint,
            **({Repair.RESTART_DEX: self._restart_dex} if self._parts.dex is not None else {}),
        }

    async def _make_room(self) -> str:
        removed, free = 0, self._room.free_bytes()
        if self._parts.retention is not None:
            with contextlib.suppress(Conflict):  # the clock is not trusted: nothing is removed by age
                removed += (await self._parts.retention.reap("danube")).removals
        for clean_up in clean_ups(self._parts.mirrors, self._parts.runtime):
            if self._room.has_room():
                break
            removed += await clean_up(self._room.has_room)
        self.freed.count("low-disk", max(0, self._room.free_bytes() - free))
        end = "the disk has room again" if self._room.has_room() else "the disk is still low"
        return f"removed {removed} old logs, artifacts, mirrors and images that no job uses: {end}"

    async def _retry_sync(self) -> str:
        self._parts.configuration.retry()
        return "the configuration is read again"

    async def _resume_effects(self) -> str:
        return f"{self._parts.jobs.work.performer.resume_stuck()} effects were given up and are made again"

    async def _clear_locks(self) -> str:
        return f"{await self._parts.mirrors.clear_stale_locks()} lock files of killed processes were removed"

    async def _checkpoint(self) -> str:
        done = await self._parts.store.database.checkpoint()
        return "the write-ahead log was copied into the database" if done else "a reader keeps the write-ahead log"

    async def _restart_dex(self) -> str:
        assert self._parts.dex is not None
        self._parts.dex.restart()
        return "Dex was started again"


@asynccontextmanager
async def open_health(parts: Observed) -> AsyncIterator[HealthParts]:
    """Observes and repairs until the block is left."""

    async def record(done: RepairDone) -> None:
        details = {"why": done.why, "what": done.what}
        outcome = done.outcome if done.outcome == "done" else "repair-failed"
        await parts.audit.record(AuditEvent(0.0, "danube", "repair", str(done.repair), outcome, details=details))

    store = parts.store
    readiness = build_readiness(
        store, parts.configuration, parts.dex, parts.runtime.checks if parts.runtime is not None else {}
    )
    findings = _Findings(store.database, parts.jobs.work.performer, parts.mirrors)
    workers = _Workers(parts)
    upkeep = Upkeep((readiness, parts.jobs.work.room, findings), workers.by_repair(), store.timing, record)
    readiness.listen(upkeep.wake)
    owner = TaskOwner(logged(_log.logger))
    owner.start("upkeep", upkeep.follow())
    owner.start("free memory", release_regularly())
    try:
        conditions = ServerConditions(readiness, parts.jobs.work.room, upkeep, *parts.sources)
        yield HealthParts(readiness, upkeep, conditions, workers.freed, DirectoryDisk(store.directory))
    finally:
        await owner.close()


def clean_ups(mirrors: Mirrors, runtime: RuntimeParts | None) -> Sequence[CleanUp]:
    """What is cheapest to have again comes first: mirrors are fetched within seconds, images within minutes."""
    images = runtime.images if runtime is not None else None
    return (mirrors.make_room, *((images.clean_up,) if images is not None else ()))
