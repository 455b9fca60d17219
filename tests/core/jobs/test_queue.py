"""Which jobs start next: limits, groups, priority and turns, by examples and by properties of random queues."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danube_pkg.core.jobs.concurrency import group_of, superseded_jobs
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import (
    HOLDS_A_SLOT,
    MAX_STARTS_PASSED_OVER,
    Obstacle,
    StartHistory,
    choose_next,
    queue_position,
    slots_in_use,
)
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from tests.support.examples import examples

MAIN = Trigger("webhook", "alice", Revision(ref="refs/heads/main", branch="main"))
numbers = itertools.count(1)


def a_job(pipeline: str = "a", phase: Phase = Phase.QUEUED, trigger: Trigger = MAIN, **changes: Any) -> Job:
    """The next job of a pipeline. changes: its reason, and any of its settings."""
    own = {name: changes.pop(name) for name in ("reason",) if name in changes}
    return Job(
        f"{next(numbers):06}", pipeline, pipeline, trigger, PipelineSettings("repo", **changes), 0.0, phase=phase, **own
    )


def a_proposal(number: int = 7, approved: bool = False, **changes: Any) -> Job:
    trigger = replace(
        MAIN, revision=Revision(ref=f"refs/pull/{number}/head"), pull_request={"number": number, "fork": True}
    )
    return a_job(trigger=trigger, reason=Reason.QUEUED if approved else Reason.APPROVAL_REQUIRED, **changes)


def started(jobs: list[Job], most: int, history: StartHistory | None = None) -> list[str]:
    names = {job.id: job.pipeline for job in jobs}
    return [names[job_id] for job_id in choose_next(jobs, most, history or StartHistory()).start]


def test_the_oldest_start_first_and_no_more_than_the_limit_allows() -> None:
    jobs = [a_job(phase=Phase.RUNNING), *(a_job() for _ in range(3))]
    assert choose_next(jobs[::-1], 3, StartHistory()).start == (jobs[1].id, jobs[2].id)
    assert choose_next(jobs, 1, StartHistory()).start == ()


def test_slots_go_to_pipelines_in_turn_however_many_jobs_each_has_queued() -> None:
    jobs = [*(a_job("a") for _ in range(5)), *(a_job("b") for _ in range(2)), a_job("c")]
    assert started(jobs, 6) == ["a", "b", "c", "a", "b", "a"]


def test_turns_are_remembered_when_a_slot_becomes_free() -> None:
    jobs = [*(a_job("a") for _ in range(3)), a_job("b")]
    first = choose_next(jobs, 1, StartHistory())
    left = [job for job in jobs if job.id not in first.start]
    assert started(left, 1, first.history) == ["b"]


def test_the_higher_priority_starts_first_until_others_were_passed_over_too_often() -> None:
    low, history = a_job("low"), StartHistory()
    before: list[str] = []
    while low.id not in before:
        choice = choose_next([low, *(a_job("urgent", priority=100) for _ in range(2))], 1, history)
        before, history = [*before, *choice.start], choice.history
    assert len(before) == MAX_STARTS_PASSED_OVER + 1


def test_a_pipelines_own_limit_leaves_slots_to_others() -> None:
    jobs = [*(a_job("a", max_concurrent_jobs=2) for _ in range(5)), *(a_job("b") for _ in range(2))]
    assert Counter(started(jobs, 10)) == {"a": 2, "b": 2}


def test_at_most_one_job_of_a_group_runs_and_another_group_does_not_wait_for_it() -> None:
    main, topic = MAIN, replace(MAIN, revision=Revision(branch="topic"))
    deploys = [a_job("a", trigger=one, concurrency_group="deploy-${branch}") for one in (main, main, topic)]
    assert choose_next(deploys, 10, StartHistory()).start == (deploys[0].id, deploys[2].id)
    shared = [a_job(name, concurrency_group="deploy") for name in ("a", "b")]
    assert choose_next(shared, 10, StartHistory()).start == (shared[0].id,)


@pytest.mark.parametrize("phase", sorted(HOLDS_A_SLOT))
def test_a_group_is_free_only_when_the_pod_is_deleted(phase: Phase) -> None:
    jobs = [a_job(phase=phase, concurrency_group=""), a_job(concurrency_group="")]
    assert choose_next(jobs, 10, StartHistory()).start == ()


@pytest.mark.parametrize(
    ("template", "trigger", "expected"),
    [
        (None, MAIN, ""),
        ("", MAIN, "pipeline a"),
        ("deploy", MAIN, "group deploy"),
        ("d-${branch}", MAIN, "group d-main"),
        ("d-${ref}", MAIN, "group d-refs/heads/main"),
        ("d-${branch}", replace(MAIN, revision=Revision(tag="v1")), "group d-v1"),
        ("d-${branch}", a_proposal(7).trigger, "group d-repo#7"),
        ("pr-${pull_request}", a_proposal(7).trigger, "group pr-repo#7"),
        ("pr-${pull_request}", MAIN, "group pr-"),
    ],
)
def test_a_groups_name(template: str | None, trigger: Trigger, expected: str) -> None:
    assert group_of(a_job(trigger=trigger, concurrency_group=template)) == expected


def test_a_proposal_that_waits_for_approval_delays_no_other_job() -> None:
    jobs = [a_proposal(concurrency_group="", max_concurrent_jobs=1), a_job(concurrency_group="")]
    assert choose_next(jobs, 1, StartHistory()).start == (jobs[1].id,)


# --- jobs that a newer one supersedes


def test_a_job_whose_commit_is_not_known_delays_no_other_and_supersedes_none() -> None:
    """The group of its branch is not known either."""
    group: dict[str, Any] = {"concurrency_group": "", "cancel_in_progress": True}
    older = a_job(**group)
    waiting = a_job(trigger=replace(MAIN, revision=Revision()), reason=Reason.RESOLVING, **group)
    newer = a_job(**group)
    assert choose_next([waiting, newer], 4, StartHistory()).start == (newer.id,)
    assert queue_position(waiting, [waiting, newer], 4, StartHistory()).obstacle is Obstacle.COMMIT
    assert superseded_jobs([older, waiting]) == ()
    resolved = replace(waiting, reason=Reason.QUEUED)
    assert superseded_jobs([resolved, newer]) == ((resolved.id, newer.id),)


def test_a_pull_request_of_another_repository_is_another_one() -> None:
    """Two pipelines share a group; both repositories have a pull request 7."""
    wanted: dict[str, Any] = {
        "concurrency_group": "preview-${pull_request}",
        "cancel_in_progress": True,
        "approved": True,
    }
    one, other = a_proposal(7, **wanted), a_proposal(7, **wanted)
    other = replace(other, settings=replace(other.settings, repository="https://git.example.org/other"))
    assert superseded_jobs([one, other]) == ()
    assert choose_next([one, other], 10, StartHistory()).start == (one.id, other.id)


NEWEST: dict[str, Any] = {"concurrency_group": "deploy", "cancel_in_progress": True}


def test_a_newer_job_of_its_group_ends_the_older_ones_that_wait_or_run() -> None:
    phases = (Phase.RUNNING, Phase.CONCLUDING, Phase.QUEUED, Phase.QUEUED)
    jobs = [a_job(phase=phase, **NEWEST) for phase in phases]
    other = a_job("b", phase=Phase.RUNNING)
    assert superseded_jobs([*jobs, other]) == ((jobs[0].id, jobs[3].id), (jobs[2].id, jobs[3].id))


def test_a_group_without_cancel_in_progress_ends_nothing() -> None:
    jobs = [a_job(phase=Phase.RUNNING, concurrency_group="deploy"), a_job(concurrency_group="deploy")]
    assert superseded_jobs(jobs) == ()


def test_an_untrusted_proposal_ends_nothing_until_it_is_approved() -> None:
    running = a_job(phase=Phase.RUNNING, **NEWEST)
    assert superseded_jobs([running, a_proposal(**NEWEST)]) == ()
    approved = a_proposal(approved=True, **NEWEST)
    assert superseded_jobs([running, approved]) == ((running.id, approved.id),)


def test_a_newer_commit_of_a_pull_request_supersedes_its_unapproved_job() -> None:
    old, other, approved, new = a_proposal(7), a_proposal(8), a_proposal(7, approved=True), a_proposal(7)
    assert superseded_jobs([old, other, approved, new]) == ((old.id, new.id),)


# --- why a job waits


def test_a_waiting_job_says_what_it_waits_for() -> None:
    running = a_job("a", phase=Phase.RUNNING, concurrency_group="deploy", max_concurrent_jobs=1)
    group = a_job("b", concurrency_group="deploy")
    own = a_job("a", max_concurrent_jobs=1)
    free = a_job("c")
    jobs = [running, group, own, free, a_proposal()]

    def waits(job: Job, most: int = 10) -> tuple[Obstacle, int, tuple[Job, ...]]:
        found = queue_position(job, jobs, most, StartHistory())
        return found.obstacle, found.position, found.blockers

    assert waits(group) == (Obstacle.GROUP, 1, (running,))
    assert waits(own) == (Obstacle.PIPELINE_LIMIT, 3, (running,))
    assert waits(free) == (Obstacle.NOTHING, 2, ())
    assert waits(free, 1) == (Obstacle.SERVER_LIMIT, 2, (running,))
    assert waits(jobs[-1]) == (Obstacle.APPROVAL, 0, ())


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_positions_are_the_order_in_which_jobs_really_start(pipelines: list[str]) -> None:
    jobs = [a_job(name) for name in pipelines]
    order = choose_next(jobs, len(jobs), StartHistory()).start
    positions = {job.id: queue_position(job, jobs, 0, StartHistory()).position for job in jobs}
    assert [positions[job_id] for job_id in order] == list(range(1, len(jobs) + 1))


# --- properties of any sequence of arrivals and ends


@dataclass
class QueueModel:
    """A server's slots, with jobs that arrive, end and are cancelled in any order."""

    most: int
    limits: Mapping[str, int]
    jobs: dict[str, Job] = field(default_factory=dict)
    history: StartHistory = field(default_factory=StartHistory)
    starts: list[Job] = field(default_factory=list)

    def admit(self) -> None:
        choice = choose_next(list(self.jobs.values()), self.most, self.history)
        self.history = choice.history
        for job_id in choice.start:
            self.starts.append(self.jobs[job_id])
            self.jobs[job_id] = replace(self.jobs[job_id], phase=Phase.RUNNING)
        self.check()

    def check(self) -> None:
        running = [job for job in self.jobs.values() if job.phase is Phase.RUNNING]
        assert len(running) <= self.most
        for name, count in Counter(job.pipeline for job in running).items():
            assert not self.limits[name] or count <= self.limits[name]
        groups = Counter(filter(None, map(group_of, running)))
        assert all(count == 1 for count in groups.values())
        ready = {
            job.pipeline for job in self.jobs.values() if job.phase is Phase.QUEUED and self.could_start(job, running)
        }
        assert len(running) == self.most or not ready, "no slot is left empty"

    def could_start(self, job: Job, running: list[Job]) -> bool:
        own = sum(one.pipeline == job.pipeline for one in running)
        full = self.limits[job.pipeline] and own >= self.limits[job.pipeline]
        return not full and (not group_of(job) or group_of(job) not in map(group_of, running))

    def act(self, action: str, pipeline: str, group: str | None, priority: int, pick: int) -> None:
        kept = [job for job in self.jobs.values() if (job.phase is Phase.RUNNING) == (action == "end")]
        if action == "arrive":
            job = a_job(pipeline, concurrency_group=group, priority=priority, max_concurrent_jobs=self.limits[pipeline])
            self.jobs[job.id] = job
        elif kept:
            del self.jobs[kept[pick % len(kept)].id]
        self.admit()


PIPELINES = ("a", "b", "c")
actions = st.tuples(
    st.sampled_from(["arrive", "arrive", "end", "cancel"]),
    st.sampled_from(PIPELINES),
    st.sampled_from([None, None, "", "shared", "other"]),
    st.sampled_from([-5, 0, 0, 9]),
    st.integers(0, 20),
)
limits = st.fixed_dictionaries({name: st.integers(0, 3) for name in PIPELINES})


@settings(deadline=None)
@given(st.integers(1, 4), limits, st.lists(actions, max_size=80))
def test_no_limit_is_ever_exceeded_and_order_holds(
    most: int, bounds: dict[str, int], todo: list[tuple[str, str, str | None, int, int]]
) -> None:
    model = QueueModel(most, bounds)
    for action in todo:
        model.act(*action)
    for same in _by_pipeline_and_group(model.starts):
        assert same == sorted(same), "within a pipeline and a group jobs start in the order of arrival"


def _by_pipeline_and_group(starts: list[Job]) -> Iterator[list[str]]:
    kinds = {(job.pipeline, group_of(job)) for job in starts}
    for kind in kinds:
        yield [job.id for job in starts if (job.pipeline, group_of(job)) == kind]


@settings(deadline=None, max_examples=examples(50))
@given(st.integers(1, 3), st.integers(1, 5), st.sampled_from([0, 100]), st.lists(st.integers(0, 50), max_size=20))
def test_a_lone_pipelines_job_starts_after_a_bounded_number_of_other_jobs_ends(
    most: int, others: int, priority: int, picks: list[int]
) -> None:
    """However many jobs the others queue, and whatever their priority."""
    model = QueueModel(most, dict.fromkeys([*"vwxyz"[:others], "lone"], 0))
    flood = [name for name in model.limits if name != "lone"]

    def arrivals() -> None:
        for name in flood:
            model.act("arrive", name, None, priority, 0)

    for _ in range(3):
        arrivals()
    model.act("arrive", "lone", None, 0, 0)
    pick, ends = itertools.cycle(picks or [0]), 0
    while not any(job.pipeline == "lone" for job in model.starts):
        arrivals()
        model.act("end", "", None, 0, next(pick))
        ends += 1
        bound = others + most if not priority else MAX_STARTS_PASSED_OVER + others
        assert ends <= bound


def test_a_slot_that_is_lent_is_free_for_others_but_not_for_its_pipelines_limit_and_its_group() -> None:
    waits = a_job("a", Phase.RUNNING, max_concurrent_jobs=1)
    same, other = a_job("a", max_concurrent_jobs=1), a_job("b")
    assert choose_next([waits, same, other], 1, StartHistory()).start == ()
    assert choose_next([waits, same, other], 1, StartHistory(), {waits.id}).start == (other.id,)
    assert slots_in_use([waits, other]) == 1
    assert slots_in_use([waits], {waits.id}) == 0
    running = a_job("c", Phase.RUNNING)
    found = queue_position(other, [waits, running, other], 1, StartHistory(), {waits.id})
    assert (found.obstacle, found.blockers) == (Obstacle.SERVER_LIMIT, (running,))
