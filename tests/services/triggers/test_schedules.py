"""Schedules on a clock that the test moves: a year, downtime, both changes of daylight saving, never twice."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind, TriggerSpec
from danube_pkg.core.triggers.inbox import InboxFilter, Result, ScheduleDue
from danube_pkg.kit.tasks import TaskOwner
from danube_pkg.services.triggers.schedules import next_start
from tests.support.moved_clock import MovedClock
from tests.support.trigger_server import (
    NEWEST,
    URL,
    TriggerServer,
    a_pipeline,
    eventually,
    open_trigger_server,
)

DAY = 86400.0
JUNE = datetime(2027, 6, 1, tzinfo=UTC).timestamp()


def cron(schedule: str, **more: object) -> TriggerSpec:
    return TriggerSpec(TriggerKind.CRON, schedule, **more)  # type: ignore[arg-type]


def moments(danube: TriggerServer, pipeline: str = "app") -> list[str]:
    """The moments, in UTC, at which schedules started the pipeline."""
    rows = danube.database.read("SELECT key FROM inbox WHERE source = 'cron' ORDER BY id")
    found = [row["key"].split(" ") for row in rows]
    return [
        datetime.fromtimestamp(float(moment), UTC).strftime("%m-%d %H:%M") for name, moment in found if name == pipeline
    ]


async def pass_time(danube: TriggerServer, until: float, step: float = 600.0) -> None:
    """Let time pass, with a check of the schedules at each step, which is shorter than any schedule's interval."""
    while danube.clock.now() < until:
        await danube.schedules.start_due()
        danube.clock.move(min(step, until - danube.clock.now()))
    await danube.schedules.start_due()


async def test_a_schedule_starts_a_job_of_the_newest_commit_of_the_default_branch(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(a_pipeline("app", cron("0 3 * * *")))
        await pass_time(danube, JUNE + 1.5 * DAY, 3600)
        await danube.settled()
        (first, second) = await danube.jobs()
        assert (first.trigger.type, first.trigger.revision.commit_sha, first.trigger.revision.branch) == (
            "cron",
            NEWEST,
            "main",
        )
        assert first.trigger.actor == "schedule 0 3 * * *"
        assert second.trigger.origin == f"cron:app {JUNE + DAY + 3 * 3600:.0f}"
        assert moments(danube) == ["06-01 03:00", "06-02 03:00"]
        assert danube.sources.requests == [URL, URL]


async def test_schedules_of_a_pipeline_that_share_a_moment_start_one_job(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(a_pipeline("app", cron("0 */6 * * *"), cron("0 12 * * *"), cron("30 12 * * *")))
        await pass_time(danube, JUNE + DAY - 1, 1800)
        assert moments(danube) == ["06-01 06:00", "06-01 12:00", "06-01 12:30", "06-01 18:00"]


async def test_a_new_schedule_begins_now_and_a_changed_one_too(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE + 4 * 3600)) as danube:
        await danube.configure(a_pipeline("app", cron("0 3 * * *")))
        await pass_time(danube, JUNE + 5 * 3600)
        await danube.configure(a_pipeline("app", cron("0 4 * * *")))
        await pass_time(danube, JUNE + 6 * 3600)
        assert moments(danube) == []


async def test_after_downtime_the_newest_missed_moment_runs_once(tmp_path: Path) -> None:
    pipeline = a_pipeline("app", cron("0 3 * * *"))
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(pipeline)
        await danube.schedules.start_due()
    async with open_trigger_server(tmp_path, MovedClock(JUNE + 9.5 * DAY)) as danube:
        await danube.configure(pipeline)
        await danube.schedules.start_due()
        await danube.schedules.start_due()
        assert moments(danube) == ["06-10 03:00"]
    async with open_trigger_server(tmp_path, MovedClock(JUNE + 9.6 * DAY)) as danube:
        await danube.configure(pipeline)
        await danube.schedules.start_due()
        assert moments(danube) == ["06-10 03:00"], "and not again after another restart"


async def test_a_moment_that_was_stored_before_the_server_was_killed_is_not_repeated(tmp_path: Path) -> None:
    """The entry of the inbox and the schedule's last moment are one transaction; the entry alone suffices, too."""
    pipeline, moment = a_pipeline("app", cron("0 3 * * *")), JUNE + 3 * 3600
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(pipeline)
        await danube.schedules.start_due()
        danube.clock.move_to(moment + 1)
        assert await danube.triggers.receive_due(ScheduleDue("app", "0 3 * * *", moment), "0 3 * * *")
        await danube.inbox.set_last_due_time("app", "0 3 * * *", JUNE)
        await danube.schedules.start_due()
        await danube.settled()
        assert len(await danube.jobs()) == 1


async def test_a_draining_server_starts_no_scheduled_jobs(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(a_pipeline("app", cron("0 * * * *")))
        await danube.schedules.start_due()
        await danube.draining.drain("a test")
        await pass_time(danube, JUNE + 5.5 * 3600)
        await danube.draining.resume()
        await danube.schedules.start_due()
        await danube.settled()
        assert await danube.jobs() == []
        entries = await danube.inbox.list_entries(InboxFilter(limit=10))
        assert [[(one.result, one.why) for one in entry.outcomes] for entry in entries] == [
            [(Result.SKIPPED, "the server was draining")]
        ] * len(entries)
        assert len(entries) == 5
        await pass_time(danube, JUNE + 6.5 * 3600)
        await danube.settled()
        assert len(await danube.jobs()) == 1


async def test_jitter_is_the_same_each_time(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        names = [f"p{number}" for number in range(5)]
        await danube.configure(*(a_pipeline(name, cron("0 3 * * *", jitter_seconds=3600)) for name in names))
        promised = {name: next_start(name, cron("0 3 * * *", jitter_seconds=3600), JUNE) for name in names}
        late: dict[str, set[float]] = {name: set() for name in names}
        seen = 0
        while danube.clock.now() < JUNE + 3 * DAY:
            await danube.schedules.start_due()
            rows = danube.database.read("SELECT key, received_at FROM inbox ORDER BY id")
            for row in rows[seen:]:
                name, moment = row["key"].split(" ")
                late[name].add((row["received_at"] - float(moment)) // 60)
            seen = len(rows)
            danube.clock.move(60)
        assert all(len(minutes) == 1 and max(minutes) <= 60 for minutes in late.values())
        assert len(set.union(*late.values())) > 1
        expected = {name: (at - (JUNE + 3 * 3600)) // 60 for name, at in promised.items() if at is not None}
        assert all(expected[name] in (minute - 1, minute) for name in names for minute in late[name])


def test_when_a_pipeline_starts_next_is_known_beforehand() -> None:
    assert next_start("app", cron("0 3 * * *"), JUNE) == JUNE + 3 * 3600
    assert next_start("app", cron("0 3 * * *", timezone="Europe/Vienna"), JUNE) == JUNE + 3600
    assert next_start("app", cron("0 3 * * *", timezone="Nowhere/Land"), JUNE) is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [((2027, 3, 28), ["03-28 00:30", "03-28 01:00"]), ((2027, 10, 31), ["10-30 23:30", "10-31 00:30"])],
)
async def test_both_changes_of_daylight_saving(tmp_path: Path, day: tuple[int, int, int], expected: list[str]) -> None:
    """In Vienna 02:30 does not exist in March and occurs twice in October."""
    begin = datetime(*day, tzinfo=ZoneInfo("Europe/Vienna")).timestamp()
    async with open_trigger_server(tmp_path, MovedClock(begin)) as danube:
        await danube.configure(a_pipeline("app", cron("30 1,2 * * *", timezone="Europe/Vienna")))
        await pass_time(danube, begin + 20 * 3600)
        assert moments(danube) == expected


async def test_a_year_on_a_moved_clock_has_every_moment_once(tmp_path: Path) -> None:
    begin = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    async with open_trigger_server(tmp_path, MovedClock(begin), running=False) as danube:
        await danube.configure(a_pipeline("app", cron("0 4 * * sun"), cron("15 14 1 * *"), cron("0 0 29 2 *")))
        await danube.schedules.start_due()
        danube.clock.move(1)
        await pass_time(danube, begin + 365 * DAY - 2, 6 * 3600)
        found = moments(danube)
        assert (len(found), len(set(found))) == (52 + 12, 52 + 12)


async def test_a_clock_that_is_set_back_starts_nothing_twice(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(a_pipeline("app", cron("0 * * * *")))
        await pass_time(danube, JUNE + 3600 + 60)
        danube.clock.move_to(JUNE + 1800)
        await pass_time(danube, JUNE + 2 * 3600 + 60)
        assert moments(danube) == ["06-01 01:00", "06-01 02:00"]


async def test_the_loop_wakes_for_a_moment_and_for_a_new_configuration(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        failures: list[str] = []
        owner = TaskOwner(lambda name, error: failures.append(f"{name}: {error}"))
        owner.start("schedules", danube.schedules.run())
        await danube.configure(a_pipeline("app", cron("* * * * *")))

        async def begun() -> bool:
            return bool(danube.database.read("SELECT 1 FROM cron_moments"))

        def struck(count: int) -> Callable[[], object]:
            async def condition() -> bool:
                danube.clock.move(10)
                return len(moments(danube)) >= count

            return condition

        await eventually(begun, "the schedule to be seen")
        await eventually(struck(2), "two moments")  # type: ignore[arg-type]
        await owner.close()
        assert failures == []


async def test_a_time_zone_that_is_missing_is_a_condition(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(a_pipeline("app", cron("* * * * *", timezone="Middle/Earth")))
        await danube.schedules.start_due()
        (condition,) = await danube.schedules.conditions()
        assert condition.reference == "time-zone-missing"
        assert "apt-get install tzdata" in condition.hint
        await danube.configure(a_pipeline("app"))
        await danube.schedules.start_due()
        assert (await danube.schedules.conditions()) == ()


async def test_a_clock_that_went_forward_and_back_silences_no_schedule(tmp_path: Path) -> None:
    pipeline = a_pipeline("app", cron("0 * * * *"))
    async with open_trigger_server(tmp_path, MovedClock(JUNE)) as danube:
        await danube.configure(pipeline)
        await danube.schedules.start_due()
        danube.clock.move_to(JUNE + DAY + 60)
        await danube.schedules.start_due()
        assert moments(danube) == ["06-02 00:00"]
        danube.clock.move_to(JUNE + 60)
        await pass_time(danube, JUNE + 2 * 3600 + 60)
        assert moments(danube) == ["06-02 00:00", "06-01 01:00", "06-01 02:00"]
        (condition,) = await danube.schedules.conditions()
        assert (condition.reference, "86340 s" in condition.what) == ("clock-went-back", True)
        await pass_time(danube, JUNE + DAY + 1.5 * 3600)
        assert moments(danube)[-2:] == ["06-01 23:00", "06-02 01:00"], "midnight started its job when it was ahead"
        assert await danube.schedules.conditions() == ()


async def test_a_moment_of_the_future_that_an_earlier_server_stored_is_set_back(tmp_path: Path) -> None:
    pipeline = a_pipeline("app", cron("0 * * * *"))
    async with open_trigger_server(tmp_path, MovedClock(JUNE + DAY)) as danube:
        await danube.configure(pipeline)
        await danube.schedules.start_due()
    async with open_trigger_server(tmp_path, MovedClock(JUNE + 60)) as danube:
        await danube.configure(pipeline)
        await pass_time(danube, JUNE + 3660)
        assert moments(danube) == ["06-01 01:00"]
        assert next_start("app", cron("0 * * * *"), danube.clock.now()) == JUNE + 2 * 3600
