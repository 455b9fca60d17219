"""Moments of cron expressions: a year of each, compared with an independent library, and both changes of the clocks."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from danube_pkg.core.schedules.cron import (
    NICKNAMES,
    Schedule,
    jitter_of,
    latest_time,
    next_time,
    problem_with,
)

VIENNA = ZoneInfo("Europe/Vienna")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
"""Its clocks are changed by half an hour."""

CHANGES = {
    VIENNA: {date(2026, 3, 29), date(2026, 10, 25)},
    NEW_YORK: {date(2026, 3, 8), date(2026, 11, 1)},
    LORD_HOWE: {date(2026, 4, 5), date(2026, 10, 4)},
}

CRONTAB_5 = (
    "5 0 * * *",
    "15 14 1 * *",
    "0 22 * * 1-5",
    "23 0-23/2 * * *",
    "5 4 * * sun",
    "0 4 8-14 * *",
    "30 4 1,15 * 5",
    "*/5 9-16 * 1-5,9-12 1-5",
    "0,30 0-6 * * *",
    "0 0 29 2 *",
    "0 0 31 * *",
    "59 23 31 12 *",
    "0 12 * * mon,wed,fri",
    "10 */3 * jan,jul *",
    "0 0 13 * fri",
    "0 1 * * 7",
    "*/20 * * * 0",
    "1-10/3 5 * * *",
    *NICKNAMES,
)
"""The examples of crontab(5), and what its text describes."""


def moments(expression: str, zone: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    moment = next_time(Schedule(expression, zone), begin.timestamp())
    while moment is not None and moment < end.timestamp():
        yield datetime.fromtimestamp(moment, zone)
        moment = next_time(Schedule(expression, zone), moment)


def independent(expression: str, zone: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    theirs = croniter(NICKNAMES.get(expression, expression), begin, max_years_between_matches=9)
    while (moment := theirs.get_next(datetime)) < end:
        yield moment


@pytest.mark.parametrize("expression", CRONTAB_5)
def test_a_year_of_an_expression_is_as_an_independent_library_has_it(expression: str) -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert list(moments(expression, UTC, begin, end)) == list(independent(expression, UTC, begin, end))


@pytest.mark.parametrize("zone", CHANGES, ids=str)
@pytest.mark.parametrize("expression", CRONTAB_5)
def test_so_it_is_in_time_zones_but_for_the_days_on_which_clocks_are_changed(expression: str, zone: ZoneInfo) -> None:
    for day in CHANGES[zone]:
        change = datetime.combine(day, datetime.min.time(), zone)
        begin, end = change - timedelta(days=9), change + timedelta(days=9)
        ours = list(moments(expression, zone, begin, end))
        theirs = list(independent(expression, zone, begin, end))
        assert [one for one in ours if one.date() != day] == [one for one in theirs if one.date() != day]
        seconds = [one.timestamp() for one in ours]
        assert seconds == sorted(set(seconds)), "never two for one moment"


SPRING = (datetime(2026, 3, 29, tzinfo=VIENNA), datetime(2026, 3, 30, tzinfo=VIENNA))
AUTUMN = (datetime(2026, 10, 25, tzinfo=VIENNA), datetime(2026, 10, 26, tzinfo=VIENNA))


def in_utc(expression: str, day: tuple[datetime, datetime]) -> list[str]:
    begin, end = day[0] - timedelta(seconds=1), day[1]
    return [one.astimezone(UTC).strftime("%H:%M") for one in moments(expression, VIENNA, begin, end)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 * * *", ["00:30"]),
        ("30 2 * * *", ["01:00"]),
        ("0 3 * * *", ["01:00"]),
        ("0 2,3 * * *", ["01:00"]),
        ("30 2,3 * * *", ["01:00", "01:30"]),
        ("30 * * * *", [f"{hour:02}:30" for hour in (23, *range(22))]),
        ("*/30 2 * * *", []),
        ("@daily", ["23:00"]),
    ],
)
def test_when_an_hour_is_left_out(expression: str, expected: list[str]) -> None:
    """At 02:00 it is 03:00, which is 01:00 UTC."""
    assert in_utc(expression, SPRING) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 * * *", ["23:30"]),
        ("30 2 * * *", ["00:30"]),
        ("0 3 * * *", ["02:00"]),
        ("30 2,3 * * *", ["00:30", "02:30"]),
        ("30 * * * *", [f"{hour:02}:30" for hour in (22, 23, *range(23))]),
        ("*/30 2 * * *", ["00:00", "00:30", "01:00", "01:30"]),
        ("@daily", ["22:00"]),
    ],
)
def test_when_an_hour_comes_twice(expression: str, expected: list[str]) -> None:
    """At 03:00, which is 01:00 UTC, it is 02:00 again."""
    assert in_utc(expression, AUTUMN) == expected


@pytest.mark.parametrize("expression", ["30 2 * * *", "15 1-4 * * *", "0 2,3 * * *"])
def test_when_an_hour_comes_twice_the_independent_library_has_one_moment_more_and_no_other(expression: str) -> None:
    begin, end = AUTUMN[0] - timedelta(seconds=1), AUTUMN[1]
    ours = {one.timestamp() for one in moments(expression, VIENNA, begin, end)}
    theirs = {one.timestamp() for one in independent(expression, VIENNA, begin, end)}
    again = theirs - ours
    assert ours < theirs
    assert again == {one + 3600 for one in ours if one + 3600 in again}


# --- what was missed

DAILY = Schedule("0 3 * * *")
DAY = 86400.0
THREE = datetime(2026, 6, 1, 3, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        (THREE, THREE + 60, None),
        (THREE - 1, THREE - 0.5, None),
        (THREE - 1, THREE, THREE),
        (THREE - DAY, THREE + 60, THREE),
        (THREE - 400 * DAY, THREE + 60, THREE),
        (THREE - 5 * DAY, THREE - 60, THREE - DAY),
    ],
)
def test_of_many_missed_moments_the_newest_counts(since: float, now: float, expected: float | None) -> None:
    assert latest_time(DAILY, since, now) == expected


def test_a_moment_of_every_fourth_year_is_found_after_years() -> None:
    leap = Schedule("0 0 29 2 *")
    since, now = (datetime(year, 3, 1, tzinfo=UTC).timestamp() for year in (2024, 2031))
    assert latest_time(leap, since, now) == datetime(2028, 2, 29, tzinfo=UTC).timestamp()


@settings(deadline=None)
@given(st.sampled_from(CRONTAB_5), st.floats(0, 40 * DAY), st.floats(0, 40 * DAY))
def test_the_newest_moment_is_the_last_of_all_that_passed(expression: str, back: float, span: float) -> None:
    since = THREE - back
    schedule = Schedule(expression, VIENNA)
    newest, moment = None, next_time(schedule, since)
    while moment is not None and moment <= since + span:
        newest, moment = moment, next_time(schedule, moment)
    assert latest_time(schedule, since, since + span) == newest


def test_jitter_is_the_same_each_time_and_another_for_others() -> None:
    schedule = Schedule("0 3 * * *", jitter_seconds=600)
    found = [jitter_of(schedule, f"pipeline-{number}") for number in range(200)]
    assert found == [jitter_of(schedule, f"pipeline-{number}") for number in range(200)]
    assert all(0 <= one <= 600 for one in found)
    assert len(set(found)) > 100
    assert jitter_of(DAILY, "any") == 0


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_what_never_comes_is_refused(expression: str) -> None:
    assert "never comes" in problem_with(expression)


@pytest.mark.parametrize("expression", CRONTAB_5)
def test_what_is_right_is_not_refused(expression: str) -> None:
    assert problem_with(expression) == ""
