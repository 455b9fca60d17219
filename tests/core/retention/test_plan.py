"""What is removed and why, and when the clock is not trusted."""

from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.retention.clocks import BACK_SECONDS, RUNNING_SECONDS, STOPPED_DAYS, ClockMark, clock_doubt
from danube_pkg.core.retention.plan import (
    DAY_SECONDS,
    FileKind,
    JobAge,
    JobFiles,
    RetentionLimit,
    RetentionPolicy,
    Why,
    ended_at,
    freed_by_why,
    plan_removals,
)

NOW = 1_800_000_000.0
POLICY = RetentionPolicy(logs=RetentionLimit(30 * DAY_SECONDS), artifacts=RetentionLimit(14 * DAY_SECONDS))


def job(name: str, days: float | None, *, kept: bool = False, removed: frozenset[FileKind] = frozenset()) -> JobAge:
    """A job that ended so many days ago; None: it has not ended."""
    return JobAge(name, "app", None if days is None else NOW - days * DAY_SECONDS, kept, removed)


def files(*names: str, size: int = 10) -> list[JobFiles]:
    return [JobFiles(name, kind, size) for name in names for kind in FileKind]


def chosen(found: list[JobFiles], jobs: list[JobAge], policy: RetentionPolicy = POLICY) -> list[tuple[str, str, str]]:
    plan = plan_removals(found, {one.job_id: one for one in jobs}, policy, NOW)
    return [(one.job_id, str(one.kind), str(one.why)) for one in plan.removals]


def test_each_kind_has_its_own_age() -> None:
    jobs = [job("old", 31), job("middle", 20), job("new", 1)]
    assert chosen(files("old", "middle", "new"), jobs) == [
        ("old", "logs", "age"),
        ("old", "artifacts", "age"),
        ("middle", "artifacts", "age"),
    ]


def test_files_of_running_kept_and_unknown_jobs_stay() -> None:
    jobs = [job("runs", None), job("kept", 900, kept=True)]
    plan = plan_removals(files("runs", "kept", "unknown"), {one.job_id: one for one in jobs}, POLICY, NOW)
    assert plan.removals == ()
    assert {one.job_id for one in plan.unknown} == {"unknown"}
    assert plan.kept_bytes == {FileKind.LOGS: 20, FileKind.ARTIFACTS: 20}


def test_the_oldest_are_removed_above_the_size_and_no_more() -> None:
    policy = RetentionPolicy(RetentionLimit(30 * DAY_SECONDS, 25), RetentionLimit(30 * DAY_SECONDS))
    jobs = [job("third", 3), job("first", 5), job("second", 4), job("kept", 9, kept=True)]
    assert chosen(files("third", "first", "second", "kept"), jobs, policy) == [
        ("first", "logs", "size"),
        ("second", "logs", "size"),
    ]


def test_what_kept_jobs_have_above_the_limit_is_reported() -> None:
    policy = RetentionPolicy(RetentionLimit(DAY_SECONDS, 15), RetentionLimit(DAY_SECONDS))
    kept = {one.job_id: one for one in (job("a", 9, kept=True), job("b", None))}
    plan = plan_removals(files("a", "b"), kept, policy, NOW)
    assert plan.removals == ()
    assert plan.over_bytes == {FileKind.LOGS: 5, FileKind.ARTIFACTS: 0}


def test_files_of_an_interrupted_removal_are_removed_whatever_their_age() -> None:
    jobs = [job("a", 1, removed=frozenset({FileKind.LOGS}))]
    plan = plan_removals(files("a"), {"a": jobs[0]}, POLICY, NOW)
    assert [(one.kind, one.why) for one in plan.removals] == [(FileKind.LOGS, Why.REMAINDER)]
    assert freed_by_why(plan.removals) == {"logs-remainder": 10}


def test_a_job_that_ended_while_the_clock_was_behind_is_not_older_than_its_id() -> None:
    assert ended_at(3600.0, NOW, is_closed=True) == NOW
    assert ended_at(NOW + 5, NOW, is_closed=True) == NOW + 5
    assert ended_at(None, NOW, is_closed=True) == NOW
    assert ended_at(NOW, NOW, is_closed=False) is None


@given(
    st.lists(
        st.tuples(st.floats(-100, 400), st.booleans(), st.booleans(), st.integers(0, 50)), min_size=1, max_size=30
    ),
    st.integers(0, 200),
)
def test_any_plan_keeps_its_promises(drawn: list[tuple[float, bool, bool, int]], limit: int) -> None:
    policy = RetentionPolicy(RetentionLimit(30 * DAY_SECONDS, limit), RetentionLimit(DAY_SECONDS))
    jobs = {str(i): job(str(i), None if runs else days, kept=kept) for i, (days, runs, kept, _) in enumerate(drawn)}
    found = [JobFiles(str(i), FileKind.LOGS, size) for i, (_, _, _, size) in enumerate(drawn)]
    plan = plan_removals(found, jobs, policy, NOW)
    removed = {one.job_id for one in plan.removals}
    stays = [one for one in found if one.job_id not in removed]
    assert not any(jobs[name].kept or jobs[name].ended_at is None for name in removed)
    assert plan.freed_bytes + sum(one.size_bytes for one in stays) == sum(one.size_bytes for one in found)
    assert not any(
        NOW - (jobs[one.job_id].ended_at or NOW) > 30 * DAY_SECONDS and not jobs[one.job_id].kept for one in stays
    )
    if limit:
        assert sum(one.size_bytes for one in stays) - plan.over_bytes[FileKind.LOGS] <= limit


def test_a_clock_is_trusted_while_it_keeps_pace() -> None:
    assert clock_doubt(NOW + 600, ClockMark(NOW, 600)) == ""
    assert clock_doubt(NOW + 2 * DAY_SECONDS, ClockMark(NOW, None)) == ""
    assert clock_doubt(NOW - BACK_SECONDS, ClockMark(NOW, 5)) == ""


def test_a_clock_that_jumps_is_not_trusted() -> None:
    assert "365 days ahead" in clock_doubt(NOW + 365 * DAY_SECONDS, ClockMark(NOW, None))
    assert "ahead" in clock_doubt(NOW + (STOPPED_DAYS + 1) * DAY_SECONDS, ClockMark(NOW, None))
    assert "1.3 hours ahead" in clock_doubt(NOW + 600 + RUNNING_SECONDS + 480, ClockMark(NOW, 600))
    assert "behind" in clock_doubt(NOW - 2 * BACK_SECONDS, ClockMark(NOW, 5))
