"""Who starts next: pure choice over the jobs that wait and those that hold a place.

Places go to pipelines in turn, not to whoever queued most. Among pipelines that have a job which may start:

    1. one that was passed over for `PATIENCE` starts, the longest first, whatever its priority
    2. the higher priority
    3. the pipeline that holds fewer places
    4. the one whose last start is longest ago
    5. the older job

Within a pipeline and a concurrency group the order of arrival holds. A job that waits for an approval is in nobody's way.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from danube_pkg.core.jobs.concurrency import group_of, is_unapproved
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.kit.records import Record, field

HOLDS_A_PLACE = frozenset({Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING, Phase.ENDED})
"""ENDED too: its pod is still being removed and takes room until it is gone."""

PATIENCE = 50
"""Starts of others before priority no longer counts: a burst of what is urgent goes first, a flood of it starves nobody."""


class Turns(Record):
    """Whose turn it was; in memory only: a restarted server begins with everybody equal.

    starts: how many there were. last: of each pipeline, at which of them it was started. passed: since which of them a
    pipeline has a job that could have started.
    """

    starts: int = 0
    last: Mapping[str, int] = field(default_factory=dict)
    passed: Mapping[str, int] = field(default_factory=dict)


class Choice(Record):
    """Ids of the jobs that start now, in that order, and whose turn it was after it."""

    start: tuple[str, ...]
    turns: Turns


class _Floor:
    """Who holds places and who waits, by pipeline, while places are being given."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.held: Counter[str] = Counter()
        self.groups: set[str] = set()
        self.waiting: dict[str, deque[Job]] = {}
        for job in sorted(jobs, key=lambda one: one.id):
            if job.phase in HOLDS_A_PLACE:
                self._hold(job)
            elif job.phase is Phase.QUEUED and not is_unapproved(job):
                self.waiting.setdefault(job.pipeline_id, deque()).append(job)

    def limit(self, pipeline_id: str) -> int:
        """The pipeline's own bound as its newest job knows it; 0 is none."""
        jobs = self.waiting.get(pipeline_id)
        return jobs[-1].settings.max_concurrent_jobs if jobs else 0

    def first(self, pipeline_id: str) -> Job | None:
        """The job of a pipeline that would start next, if one may."""
        limit = self.limit(pipeline_id)
        if limit and self.held[pipeline_id] >= limit:
            return None
        return next((job for job in self.waiting[pipeline_id] if group_of(job) not in self.groups), None)

    def place(self, job: Job) -> None:
        self.waiting[job.pipeline_id].remove(job)
        if not self.waiting[job.pipeline_id]:
            del self.waiting[job.pipeline_id]
        self._hold(job)

    def _hold(self, job: Job) -> None:
        self.held[job.pipeline_id] += 1
        if group := group_of(job):
            self.groups.add(group)


def choose(jobs: Sequence[Job], max_concurrent_jobs: int, turns: Turns) -> Choice:
    """Fill the free places. jobs: all that are not closed."""
    floor = _Floor(jobs)
    free = max_concurrent_jobs - sum(floor.held.values())
    starts, last, passed = turns.starts, dict(turns.last), dict[str, int]()
    chosen: list[str] = []
    while True:
        ready = {name: job for name in floor.waiting if (job := floor.first(name)) is not None}
        passed = {name: passed.get(name, turns.passed.get(name, starts)) for name in ready}
        if free <= 0 or not ready:
            break
        job = min(ready.values(), key=lambda one: _rank(one, starts, last, passed, floor.held))
        floor.place(job)
        chosen.append(job.id)
        starts, free = starts + 1, free - 1
        last[job.pipeline_id] = passed[job.pipeline_id] = starts
    present = {*floor.held, *floor.waiting}
    kept = {name: at for name, at in last.items() if name in present or starts - at < PATIENCE}
    return Choice(tuple(chosen), Turns(starts, kept, passed))


def _rank(
    job: Job, starts: int, last: Mapping[str, int], passed: Mapping[str, int], held: Mapping[str, int]
) -> tuple[int, int, int, int, str]:
    """The least goes first."""
    name = job.pipeline_id
    since = passed.get(name, starts)
    overdue = since if starts - since >= PATIENCE else starts + 1
    return overdue, -job.settings.priority, held.get(name, 0), last.get(name, 0), job.id


class Obstacle(StrEnum):
    """What keeps a waiting job from starting."""

    APPROVAL = "approval"
    GROUP = "group"
    PIPELINE_LIMIT = "pipeline-limit"
    SERVER_LIMIT = "server-limit"
    NO_FOLLOW_UP = "nothing"


class QueuePosition(Record):
    """Why a job waits. position: 1 is next, 0 where it is in no order. limit: the bound that is reached. blockers: the jobs
    that hold what it waits for, oldest first. group: as people wrote it."""

    obstacle: Obstacle
    position: int = 0
    limit: int = 0
    blockers: tuple[Job, ...] = ()
    group: str = ""


def why_waiting(job: Job, jobs: Sequence[Job], max_concurrent_jobs: int, turns: Turns) -> QueuePosition:
    """What a waiting job waits for, and its place in the order in which places are given."""
    if is_unapproved(job):
        return QueuePosition(Obstacle.APPROVAL)
    floor, position = _Floor(jobs), _position(job, _Floor(jobs), turns)
    group, limit = group_of(job), floor.limit(job.pipeline_id)

    def held_by(counts: Callable[[Job], bool]) -> tuple[Job, ...]:
        return tuple(
            sorted((one for one in jobs if one.phase in HOLDS_A_PLACE and counts(one)), key=lambda one: one.id)
        )

    if group and group in floor.groups:
        blockers = held_by(lambda one: group_of(one) == group)
        return QueuePosition(Obstacle.GROUP, position, 1, blockers, group)
    if limit and floor.held[job.pipeline_id] >= limit:
        blockers = held_by(lambda one: one.pipeline_id == job.pipeline_id)
        return QueuePosition(Obstacle.PIPELINE_LIMIT, position, limit, blockers)
    if sum(floor.held.values()) >= max_concurrent_jobs:
        return QueuePosition(Obstacle.SERVER_LIMIT, position, max_concurrent_jobs, held_by(lambda one: True))
    return QueuePosition(Obstacle.NO_FOLLOW_UP, position)


def _position(job: Job, floor: _Floor, turns: Turns) -> int:
    """As if places became free one after the other and no bound were in the way."""
    last, passed = dict(turns.last), dict(turns.passed)

    def entry(one: Job) -> tuple[tuple[int, int, int, int, str], Job]:
        return _rank(one, turns.starts, last, passed, floor.held), one

    heap = [entry(waiting[0]) for waiting in floor.waiting.values()]
    heapq.heapify(heap)
    position = 1
    while heap:
        _, first = heapq.heappop(heap)
        if first.id == job.id:
            break
        waiting = floor.waiting[first.pipeline_id]
        waiting.popleft()
        floor.held[first.pipeline_id] += 1
        last[first.pipeline_id] = passed[first.pipeline_id] = turns.starts + position
        position += 1
        if waiting:
            heapq.heappush(heap, entry(waiting[0]))
    return position
