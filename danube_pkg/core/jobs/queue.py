"""Which jobs start next: a pure choice from those that wait, given those that hold a slot.

Slots go to pipelines in turn, however many jobs each has queued. Among pipelines that have a job which may start:

    1. one that was passed over for `MAX_STARTS_PASSED_OVER` starts, the longest first, whatever its priority
    2. the higher priority
    3. the pipeline that holds fewer slots
    4. the one whose last start is longest ago
    5. the older job

Within a pipeline and a concurrency group jobs start in the order of arrival. A job whose commit is not known, or waits
for an approval, delays no other job. One that waits in its middle for approval of an environment has given its slot
back, and keeps its concurrency group: of a group at most one job has begun.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from danube_pkg.core.jobs.concurrency import group_of, is_unapproved, is_unresolved, may_start
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval, open_approval
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.kit.records import Record, field

HOLDS_A_SLOT = frozenset({Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING, Phase.SIGNING, Phase.ENDED})
"""ENDED too: its pod uses memory and disk until it is removed. A job that waits for approval of an environment holds
none: see `holds_slot`."""

MAX_STARTS_PASSED_OVER = 50
"""Starts of others after which priority no longer counts: a burst of urgent jobs comes first, a flood starves none."""


def holds_slot(job: Job) -> bool:
    """Whether it counts against the limits. One that waits for approval of an environment is frozen, maybe for days;
    one whose pod is kept for a shell has ended, and makes room when that is needed."""
    return job.phase in HOLDS_A_SLOT and not job.waits_for_approval and job.kept_until is None


class StartHistory(Record):
    """When pipelines had their turns. In memory only: after a restart all are equal.

    starts: how many jobs were started. last: for each pipeline, the number of its last start. passed: for each pipeline
    with a job that could start, the number of the start since which it could.
    """

    starts: int = 0
    last: Mapping[str, int] = field(default_factory=dict)
    passed: Mapping[str, int] = field(default_factory=dict)


class Admissions(Record):
    """Ids of the jobs that start now, in this order, and the history with these starts."""

    start: tuple[str, ...]
    history: StartHistory


class _Slots:
    """Which pipelines hold slots and which jobs wait, while slots are being assigned."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.held: Counter[str] = Counter()
        self.groups: set[str] = set()
        self.waiting: dict[str, deque[Job]] = {}
        for job in sorted(jobs, key=lambda one: one.id):
            if holds_slot(job):
                self._hold(job)
            elif job.waits_for_approval:
                self._hold_group(job)
            elif may_start(job):
                self.waiting.setdefault(job.pipeline_id, deque()).append(job)

    def limit(self, pipeline_id: str) -> int:
        """The pipeline's own limit, from its newest waiting job; 0 for no limit."""
        jobs = self.waiting.get(pipeline_id)
        return jobs[-1].settings.max_concurrent_jobs if jobs else 0

    def first(self, pipeline_id: str) -> Job | None:
        """The job of a pipeline that would start next; None where its limit or a group prevents each."""
        limit = self.limit(pipeline_id)
        if limit and self.held[pipeline_id] >= limit:
            return None
        return next((job for job in self.waiting[pipeline_id] if group_of(job) not in self.groups), None)

    def start(self, job: Job) -> None:
        self.waiting[job.pipeline_id].remove(job)
        if not self.waiting[job.pipeline_id]:
            del self.waiting[job.pipeline_id]
        self._hold(job)

    def _hold(self, job: Job) -> None:
        self.held[job.pipeline_id] += 1
        self._hold_group(job)

    def _hold_group(self, job: Job) -> None:
        if group := group_of(job):
            self.groups.add(group)


def slots_in_use(jobs: Iterable[Job], lent: Collection[str] = ()) -> int:
    """How many of the server's slots are held. lent: ids of jobs in whose slots others may start, since they wait for
    something outside; they still count for their pipeline and their concurrency group."""
    return sum(holds_slot(job) and job.id not in lent for job in jobs)


def choose_returning(
    jobs: Sequence[Job], max_concurrent_jobs: int, lent: Collection[str] = ()
) -> tuple[tuple[str, int], ...]:
    """Jobs that were approved in their middle and continue now, each with the sequence of its approval: by the time of
    their approvals, as far as the limits of server and pipeline allow, and before any job that has not started."""
    free = max_concurrent_jobs - slots_in_use(jobs, lent)
    held = Counter(job.pipeline_id for job in jobs if holds_slot(job))
    found = []
    for job, approval in sorted(_approved(jobs), key=lambda one: (one[1].decided_at or 0.0, one[0].id)):
        limit = job.settings.max_concurrent_jobs
        if free > 0 and (not limit or held[job.pipeline_id] < limit):
            found.append((job.id, approval.sequence))
            held[job.pipeline_id] += 1
            free -= 1
    return tuple(found)


def _approved(jobs: Iterable[Job]) -> Iterator[tuple[Job, EnvironmentApproval]]:
    for job in jobs:
        approval = open_approval(job.approvals) if job.waits_for_approval else None
        if approval is not None and approval.state is ApprovalState.APPROVED:
            yield job, approval


def choose_next(
    jobs: Sequence[Job], max_concurrent_jobs: int, history: StartHistory, lent: Collection[str] = ()
) -> Admissions:
    """Fill the free slots. jobs: all that are not closed. lent: see `slots_in_use`."""
    slots = _Slots(jobs)
    free = max_concurrent_jobs - slots_in_use(jobs, lent)
    starts, last, passed = history.starts, dict(history.last), dict[str, int]()
    chosen: list[str] = []
    while True:
        ready = {name: job for name in slots.waiting if (job := slots.first(name)) is not None}
        passed = {name: passed.get(name, history.passed.get(name, starts)) for name in ready}
        if free <= 0 or not ready:
            break
        job = min(ready.values(), key=lambda one: _rank(one, starts, last, passed, slots.held))
        slots.start(job)
        chosen.append(job.id)
        starts, free = starts + 1, free - 1
        last[job.pipeline_id] = passed[job.pipeline_id] = starts
    present = {*slots.held, *slots.waiting}
    kept = {name: at for name, at in last.items() if name in present or starts - at < MAX_STARTS_PASSED_OVER}
    return Admissions(tuple(chosen), StartHistory(starts, kept, passed))


def _rank(
    job: Job, starts: int, last: Mapping[str, int], passed: Mapping[str, int], held: Mapping[str, int]
) -> tuple[int, int, int, int, str]:
    """The lowest starts first."""
    name = job.pipeline_id
    since = passed.get(name, starts)
    overdue = since if starts - since >= MAX_STARTS_PASSED_OVER else starts + 1
    return overdue, -job.settings.priority, held.get(name, 0), last.get(name, 0), job.id


class Obstacle(StrEnum):
    """What keeps a waiting job from starting."""

    COMMIT = "commit"
    APPROVAL = "approval"
    GROUP = "group"
    PIPELINE_LIMIT = "pipeline-limit"
    SERVER_LIMIT = "server-limit"
    DISK = "disk"
    NOTHING = "nothing"


class QueuePosition(Record):
    """Why a job waits. position: 1 is next, 0 for a job that is not in the order of starting. limit: the limit that is
    reached. blockers: the jobs that hold what it waits for, oldest first. group: "group NAME" or "pipeline NAME".
    held_by, hint: why the server starts no job at all, and what ends that."""

    obstacle: Obstacle
    position: int = 0
    limit: int = 0
    blockers: tuple[Job, ...] = ()
    group: str = ""
    held_by: str = ""
    hint: str = ""


def queue_position(
    job: Job, jobs: Sequence[Job], max_concurrent_jobs: int, history: StartHistory, lent: Collection[str] = ()
) -> QueuePosition:
    """What a waiting job waits for, and its position in the order of starting. lent: see `slots_in_use`."""
    if is_unresolved(job):
        return QueuePosition(Obstacle.COMMIT)
    if is_unapproved(job):
        return QueuePosition(Obstacle.APPROVAL)
    slots, position = _Slots(jobs), _position(job, _Slots(jobs), history)
    group, limit = group_of(job), slots.limit(job.pipeline_id)

    def held_by(counts: Callable[[Job], bool]) -> tuple[Job, ...]:
        return tuple(sorted((one for one in jobs if counts(one)), key=lambda one: one.id))

    if group and group in slots.groups:
        blockers = held_by(lambda one: (holds_slot(one) or one.waits_for_approval) and group_of(one) == group)
        return QueuePosition(Obstacle.GROUP, position, 1, blockers, group)
    if limit and slots.held[job.pipeline_id] >= limit:
        blockers = held_by(lambda one: holds_slot(one) and one.pipeline_id == job.pipeline_id)
        return QueuePosition(Obstacle.PIPELINE_LIMIT, position, limit, blockers)
    if slots_in_use(jobs, lent) >= max_concurrent_jobs:
        holders = held_by(lambda one: holds_slot(one) and one.id not in lent)
        return QueuePosition(Obstacle.SERVER_LIMIT, position, max_concurrent_jobs, holders)
    return QueuePosition(Obstacle.NOTHING, position)


def _position(job: Job, slots: _Slots, history: StartHistory) -> int:
    """Its position if slots became free one after the other and no limit or group prevented a start."""
    last, passed = dict(history.last), dict(history.passed)

    def entry(one: Job) -> tuple[tuple[int, int, int, int, str], Job]:
        return _rank(one, history.starts, last, passed, slots.held), one

    heap = [entry(waiting[0]) for waiting in slots.waiting.values()]
    heapq.heapify(heap)
    position = 1
    while heap:
        _, first = heapq.heappop(heap)
        if first.id == job.id:
            break
        waiting = slots.waiting[first.pipeline_id]
        waiting.popleft()
        slots.held[first.pipeline_id] += 1
        last[first.pipeline_id] = passed[first.pipeline_id] = history.starts + position
        position += 1
        if waiting:
            heapq.heappush(heap, entry(waiting[0]))
    return position
