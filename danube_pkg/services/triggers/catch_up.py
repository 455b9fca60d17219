"""Compares the branches and tags of repositories with what webhooks announced, and puts what is missing into the inbox.

After a start, after `resume` and each hour, one request a repository. What the comparison finds and what is known then
are one transaction, so that a server that is killed at any moment neither loses a head nor starts it twice. While
draining nothing is compared.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.core.triggers.catch_up import compared_repositories, jobs_of
from danube_pkg.core.triggers.heads import Comparison, KnownHead, compare
from danube_pkg.core.triggers.inbox import EntrySource, InboxEntry
from danube_pkg.core.triggers.ports import HeadReader, InboxStore
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import Mutable
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.notifications.observer import JobObserver

EVERY_SECONDS = 3600.0
"""An hour: webhooks are the usual way, and a forge should not notice this one."""

RETRIES = Pauses(first=60.0, cap=EVERY_SECONDS)

AT_ONCE = 2
"""Repositories that are asked at the same time: one that does not answer must not delay all others."""

SHOWN_FAILURES = 3
"""Failures in a row, three minutes at least, until a repository that cannot be compared is a condition."""

_log = EventLog("danube.triggers")


class _Compared(Mutable):
    """One repository. due_at: when it is compared next, on the monotonic clock. problem: why it could not be."""

    url: str
    streak: Streak
    due_at: float = 0.0
    problem: PlatformError | None = None


class CatchUps:
    """The comparisons of all repositories whose pipelines wait for pushes or tags."""

    def __init__(
        self,
        store: InboxStore,
        reader: HeadReader,
        observer: JobObserver,
        timing: Timing,
        draining: Draining,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._reader = reader
        self._observer = observer
        self._timing = timing
        self._clock = timing.clock
        self._draining = draining
        self._new_id = new_id
        self._wake = asyncio.Event()
        self._repositories: dict[str, _Compared] = {}
        observer.applied.listen(self._wake.set)
        draining.listen(self._all_due)

    async def run(self) -> None:
        """Compares until it is cancelled."""
        streak = Streak("catch-up", self._timing, RETRIES, log=_log.logger)
        await for_ever(self.compare_due, streak, self._timing, expected=(PlatformError,), wake=self._wake)

    async def conditions(self) -> Sequence[Condition]:
        """Repositories that could not be compared for a while."""
        return [
            _not_compared(one.url, one.problem)
            for _, one in sorted(self._repositories.items())
            if one.problem is not None and one.streak.failures >= SHOWN_FAILURES
        ]

    async def compare_due(self) -> float | None:
        """Compare what is due; returns how many seconds to wait before the next call, None where nothing will be."""
        await self._follow_configuration()
        if self._draining.active:
            return None
        now, places = self._clock.monotonic(), asyncio.Semaphore(AT_ONCE)

        async def compare_one(name: str, one: _Compared) -> None:
            async with places:
                await self._compare(name, one)

        async with asyncio.TaskGroup() as tasks:
            for name, one in self._repositories.items():
                if one.due_at <= now:
                    tasks.create_task(compare_one(name, one), name=f"compare {name}"[:100])
        next_at = min((one.due_at for one in self._repositories.values()), default=None)
        return None if next_at is None else max(0.0, next_at - self._clock.monotonic())

    def _all_due(self) -> None:
        """Draining began or ended: what was pushed meanwhile was not accepted."""
        for one in self._repositories.values():
            one.due_at = 0.0
        self._wake.set()

    async def _follow_configuration(self) -> None:
        wanted = compared_repositories(self._observer.applied.state)
        if wanted.keys() != self._repositories.keys():
            await self._store.forget_heads(wanted)
        kept = {name: one for name, one in self._repositories.items() if wanted.get(name) == one.url}
        self._repositories = {name: kept.get(name) or self._compared(name, url) for name, url in wanted.items()}

    def _compared(self, name: str, url: str) -> _Compared:
        return _Compared(url, Streak("comparison", self._timing, RETRIES, log=_log.logger, fields={"repository": name}))

    async def _compare(self, name: str, one: _Compared) -> None:
        # Before the repository is asked: it is due again at once where draining ends meanwhile.
        one.due_at = self._clock.monotonic() + EVERY_SECONDS
        try:
            await self._read_and_record(name, one.url)
        except PlatformError as error:
            one.problem = error
            one.due_at = min(one.due_at, self._clock.monotonic() + one.streak.failed(error))
        else:
            one.problem = None
            one.streak.succeeded()

    async def _read_and_record(self, name: str, url: str) -> None:
        then = await self._store.known_heads(name)
        seen = await self._reader.list_heads(url)
        if self._draining.active:
            return  # it began meanwhile, and no job is accepted now; its end makes all repositories due
        count = jobs_of(self._observer.index, self._observer.applied.config)
        now, key = self._clock.now(), self._new_id()

        def decide(known: Mapping[str, KnownHead], first: bool) -> tuple[Comparison, Sequence[InboxEntry]]:
            decided = compare(url, seen, then, known, count, first=first)
            return decided, [
                InboxEntry(EntrySource.COMPARISON, f"{key} {found.ref}", found, now) for found in decided.found
            ]

        found = (await self._store.record_comparison(name, decide)).found
        if found:
            _log.info("heads-found", repository=name, count=len(found))
            self._observer.inbox_added.set()


def _not_compared(url: str, problem: PlatformError) -> Condition:
    return Condition(
        "heads-not-compared",
        f"the branches and tags of {without_login(url)} cannot be compared with what webhooks announced: {problem}",
        f"{problem.hint or 'danube doctor'}; or in its pipelines: catch_up: off",
    )
