"""Retention: removes files of ended jobs by age and size, once in each interval, and says what it would remove.

The order is: read the disk and the rows, decide (`core/retention`), record the removals, remove the files. A server
that is killed in between leaves files whose removal is recorded, which the next run removes; never a row that promises
a file that is gone.
"""

import asyncio
from collections.abc import Callable, Sequence

from danube_pkg.core.caches.cache import CacheEntry
from danube_pkg.core.errors import Conflict, Permanent, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.core.jobs.ports import ServerState
from danube_pkg.core.retention.clocks import ClockMark, clock_doubt
from danube_pkg.core.retention.plan import (
    FileKind,
    Removal,
    RetentionPlan,
    RetentionPolicy,
    freed_by_why,
    plan_removals,
)
from danube_pkg.core.retention.ports import JobRetention, RetentionStore, StoredFiles
from danube_pkg.core.retention.registry import ImageRemoval
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import Record
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.caches import Caches
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.registry_images import RegistryImages

CHECK_SECONDS = 300.0
"""Between two marks of the clock, after which a removal may be due."""

FIRST_SECONDS = 60.0
"""A server that starts has more urgent work."""

BATCH = 100
"""Removals in one transaction: it takes a few milliseconds, so that other writers do not wait."""

CLOCK_HINT = "check the time: timedatectl status; if it is right: danube reap --trust-clock"

_MARK = "retention-clock"
_LAST = "retention-run"

_log = EventLog("danube.retention")


class RetentionRun(Record):
    """at: Unix seconds. removals: of files of jobs; freed_bytes: their size. images: how many were removed from the
    registry. caches: how many were removed."""

    at: float
    removals: int
    freed_bytes: int
    images: int = 0
    caches: int = 0


class Retention:
    """The removal of files by age and size. policy: the configured limits; interval: seconds between two runs, both as
    they are now. images: those of the registry; None without one. caches: None without any. is_restored: whether this
    is a restored server that is paused, which must leave the registry to the original."""

    def __init__(
        self,
        store: RetentionStore,
        files: StoredFiles,
        state: ServerState,
        audit: Audit,
        timing: Timing,
        policy: Callable[[], RetentionPolicy],
        interval: Callable[[], float],
        images: RegistryImages | None = None,
        caches: Caches | None = None,
        is_restored: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._files = files
        self._state = state
        self._audit = audit
        self._timing = timing
        self._clock = timing.clock
        self._policy = policy
        self._interval = interval
        self.images = images
        self._caches = caches
        self._is_restored = is_restored
        self._marked: tuple[float, float] | None = None
        """The last mark of this process: its Unix seconds, and the monotonic seconds at which it was written."""
        self._doubt = ""
        self._over: Sequence[FileKind] = ()
        self._lock = asyncio.Lock()
        self.freed = Tally()
        """Bytes that were removed, by kind and reason (`logs-age`)."""

    async def run(self) -> None:
        """Checks until it is cancelled."""
        streak = Streak("retention", self._timing, Pauses(CHECK_SECONDS, 12 * CHECK_SECONDS), log=_log.logger)
        await for_ever(
            self.check, streak, self._timing, expected=(Permanent, Retryable, OSError), pause_first=FIRST_SECONDS
        )

    async def check(self) -> float:
        """Mark the clock, and remove what is due. Returns the seconds until the next check."""
        last = await self._state.recall(_LAST)
        now = self._clock.now()
        doubt = await self._check_clock()
        if not doubt and not self._is_restored() and (last is None or not 0 <= now - float(last[0]) < self._interval()):
            await self.reap("danube")
        return min(CHECK_SECONDS, self._interval())

    async def plan(self) -> RetentionPlan:
        """What a run would remove now, if the clock is right."""
        files = await self._files.list_files()
        jobs = await self._store.job_ages({one.job_id for one in files})
        return await asyncio.to_thread(plan_removals, files, jobs, self._policy(), self._clock.now())

    async def plan_images(self) -> tuple[Sequence[ImageRemoval], str]:
        """What a run would remove from the registry now, and why that cannot be said."""
        if self.images is None:
            return (), ""
        try:
            return await self.images.plan(), ""
        except (Permanent, Retryable) as error:
            return (), str(error)

    async def due_caches(self) -> Sequence[CacheEntry]:
        """The caches that a run would remove now."""
        limit = self._policy().caches
        return await self._caches.due(limit.keep_seconds, limit.limit_bytes) if self._caches is not None else ()

    async def clock_problem(self) -> str:
        """Why nothing is removed now; "" where the clock is trusted."""
        return await self._check_clock()

    async def reap(self, by: str, *, trust_clock: bool = False) -> RetentionRun:
        """Remove what is due. by: the user, for the audit log. trust_clock: an operator has confirmed the time. Raises
        Conflict while the clock is not trusted."""
        async with self._lock:
            if trust_clock:
                await self._mark()
            elif doubt := await self._check_clock():
                raise Conflict("clock-not-trusted", "nothing was removed", cause=doubt, hint=CLOCK_HINT)
            plan = await self.plan()
            self._over = tuple(kind for kind, count in plan.over_bytes.items() if count)
            removed = [one for begin in range(0, len(plan.removals), BATCH) for one in await self._remove(plan, begin)]
            freed = sum(one.size_bytes for one in removed)
            caches = await self._reap_caches()
            freed += sum(one.size_bytes for one in caches)
            images = await self.images.remove() if self.images is not None and not self._is_restored() else ()
            await self._report(removed, len(images), caches, by)
            run = RetentionRun(self._clock.now(), len(removed), freed, len(images), len(caches))
            await self._state.remember(_LAST, str(run.at))
            return run

    async def last_run(self) -> float | None:
        """When a run ended last, in Unix seconds."""
        found = await self._state.recall(_LAST)
        return float(found[0]) if found is not None else None

    # --- jobs that are kept

    async def keep(self, job_id: str, by: str) -> JobRetention:
        """Keep a job's files until `unkeep`."""
        await self._store.keep(job_id, by, self._clock.now())
        return await self._store.retention_of(job_id)

    async def unkeep(self, job_id: str) -> JobRetention:
        """Let the job's files be removed when they are due."""
        await self._store.unkeep(job_id)
        return await self._store.retention_of(job_id)

    async def of_job(self, job_id: str) -> JobRetention:
        """Whether the job is kept, and which of its files were removed."""
        return await self._store.retention_of(job_id)

    async def conditions(self) -> Sequence[Condition]:
        """A clock that is not trusted, and limits that kept jobs exceed alone."""
        found = []
        if self._doubt:
            found.append(Condition("clock-not-trusted", f"no old files are removed: {self._doubt}", CLOCK_HINT))
        for kind in self._over:
            what = f"the {kind} of kept and unfinished jobs alone are larger than retention.{kind}_gb"
            found.append(Condition("retention-exceeded", what, "danube jobs keep JOB --undo, or raise the limit"))
        return [*found, *(await self.images.conditions() if self.images is not None else ())]

    # --- parts

    async def _remove(self, plan: RetentionPlan, begin: int) -> Sequence[Removal]:
        """One batch; what could not be removed stays recorded and is found by the next run."""
        allowed = await self._store.record_removals(plan.removals[begin : begin + BATCH], self._clock.now())
        left = set(await self._files.remove(allowed))
        return [one for one in allowed if one not in left]

    async def _reap_caches(self) -> Sequence[CacheEntry]:
        limit = self._policy().caches
        return await self._caches.reap(limit.keep_seconds, limit.limit_bytes) if self._caches is not None else ()

    async def _report(self, removed: Sequence[Removal], images: int, caches: Sequence[CacheEntry], by: str) -> None:
        freed = freed_by_why(removed)
        if caches:
            freed["caches-unused"] = sum(one.size_bytes for one in caches)
        for name, count in freed.items():
            self.freed.count(name, count)
        details = {"jobs": str(len({one.job_id for one in removed})), **{k: str(count) for k, count in freed.items()}}
        if images:
            details["images"] = str(images)
        total = sum(freed.values())
        _log.info("files-removed", freed_bytes=total, **details)
        if removed or images or caches:
            await self._audit.record(AuditEvent(0.0, by, "reap", "old files and images", details=details))

    async def _check_clock(self) -> str:
        """Why the clock is not trusted; where it is, the mark is written again."""
        now = self._clock.now()
        if self._marked is not None:
            mark = ClockMark(self._marked[0], self._clock.monotonic() - self._marked[1])
        else:
            known = await self._state.recall(_MARK)
            mark = ClockMark(float(known[0]) if known is not None else await self._store.newest_time(), None)
        doubt = clock_doubt(now, mark) if mark.at else ""
        if doubt and not self._doubt:
            _log.warning("clock-not-trusted", cause=doubt, hint=CLOCK_HINT)
        self._doubt = doubt
        if not doubt:
            await self._mark()
        return doubt

    async def _mark(self) -> None:
        now = self._clock.now()
        await self._state.remember(_MARK, str(now))
        self._marked, self._doubt = (now, self._clock.monotonic()), ""
