"""Times of cron expressions: a year of each, compared with an independent library, and both daylight saving changes."""

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
"""Daylight saving time there is half an hour."""

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


def times(expression: str, zone: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    time = next_time(Schedule(expression, zone), begin.timestamp())
    while time is not None and time < end.timestamp():
        yield datetime.fromtimestamp(time, zone)
        time = next_time(Schedule(expression, zone), time)


def independent(expression: str, zone: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    theirs = croniter(NICKNAMES.get(expression, expression), begin, max_years_between_matches=9)
    while (time := theirs.get_next(datetime)) < end:
        yield time


YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MONTHS = [(datetime(2026, month, 1, tzinfo=UTC) - timedelta(days=2), timedelta(days=9)) for month in range(1, 13)]
"""The beginning of a period around each start of a month, and its length."""

FREQUENT = {
    "23 0-23/2 * * *",
    "*/5 9-16 * 1-5,9-12 1-5",
    "0,30 0-6 * * *",
    "10 */3 * jan,jul *",
    "*/20 * * * 0",
    "@hourly",
}
"""Expressions with thousands of times a year, for which the independent library takes seconds."""


@pytest.mark.parametrize("expression", [one for one in CRONTAB_5 if one not in FREQUENT])
def test_a_year_of_times_equals_that_of_an_independent_library(expression: str) -> None:
    assert list(times(expression, UTC, *YEAR)) == list(independent(expression, UTC, *YEAR))


@pytest.mark.parametrize("expression", sorted(FREQUENT))
def test_a_week_of_some_months_equals_that_of_an_independent_library(expression: str) -> None:
    for begin, length in MONTHS[::4]:
        end = begin + length
        assert list(times(expression, UTC, begin, end)) == list(independent(expression, UTC, begin, end))


@pytest.mark.long
@pytest.mark.parametrize("expression", sorted(FREQUENT))
def test_a_year_of_many_times_equals_that_of_an_independent_library(expression: str) -> None:
    assert list(times(expression, UTC, *YEAR)) == list(independent(expression, UTC, *YEAR))


@pytest.mark.parametrize("zone", CHANGES, ids=str)
@pytest.mark.parametrize("expression", CRONTAB_5)
def test_times_in_time_zones_equal_except_on_days_of_clock_changes(expression: str, zone: ZoneInfo) -> None:
    for day in CHANGES[zone]:
        change = datetime.combine(day, datetime.min.time(), zone)
        around = timedelta(days=3 if expression in FREQUENT else 9)
        begin, end = change - around, change + around
        ours = list(times(expression, zone, begin, end))
        theirs = list(independent(expression, zone, begin, end))
        assert [one for one in ours if one.date() != day] == [one for one in theirs if one.date() != day]
        seconds = [one.timestamp() for one in ours]
        assert seconds == sorted(set(seconds)), "no time twice"


SPRING = (datetime(2026, 3, 29, tzinfo=VIENNA), datetime(2026, 3, 30, tzinfo=VIENNA))
AUTUMN = (datetime(2026, 10, 25, tzinfo=VIENNA), datetime(2026, 10, 26, tzinfo=VIENNA))


def in_utc(expression: str, day: tuple[datetime, datetime]) -> list[str]:
    begin, end = day[0] - timedelta(seconds=1), day[1]
    return [one.astimezone(UTC).strftime("%H:%M") for one in times(expression, VIENNA, begin, end)]


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
def test_when_the_clock_skips_an_hour(expression: str, expected: list[str]) -> None:
    """02:00 does not exist: the clock goes from 01:59 to 03:00, which is 01:00 UTC."""
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
def test_when_the_clock_repeats_an_hour(expression: str, expected: list[str]) -> None:
    """02:00 comes twice: the clock goes from 02:59 back to 02:00, which is 01:00 UTC."""
    assert in_utc(expression, AUTUMN) == expected


@pytest.mark.parametrize("expression", ["30 2 * * *", "15 1-4 * * *", "0 2,3 * * *"])
def test_when_the_clock_repeats_an_hour_the_independent_library_repeats_the_time(expression: str) -> None:
    begin, end = AUTUMN[0] - timedelta(seconds=1), AUTUMN[1]
    ours = {one.timestamp() for one in times(expression, VIENNA, begin, end)}
    theirs = {one.timestamp() for one in independent(expression, VIENNA, begin, end)}
    again = theirs - ours
    assert ours < theirs
    assert again == {one + 3600 for one in ours if one + 3600 in again}


# --- missed times

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
def test_of_many_missed_times_the_latest_counts(since: float, now: float, expected: float | None) -> None:
    assert latest_time(DAILY, since, now) == expected


def test_a_time_of_every_fourth_year_is_found_after_years() -> None:
    leap = Schedule("0 0 29 2 *")
    since, now = (datetime(year, 3, 1, tzinfo=UTC).timestamp() for year in (2024, 2031))
    assert latest_time(leap, since, now) == datetime(2028, 2, 29, tzinfo=UTC).timestamp()


@settings(deadline=None)
@given(st.sampled_from(CRONTAB_5), st.floats(0, 40 * DAY), st.floats(0, 40 * DAY))
def test_the_latest_time_is_the_last_of_all_that_passed(expression: str, back: float, span: float) -> None:
    since = THREE - back
    schedule = Schedule(expression, VIENNA)
    latest, time = None, next_time(schedule, since)
    while time is not None and time <= since + span:
        latest, time = time, next_time(schedule, time)
    assert latest_time(schedule, since, since + span) == latest


def test_jitter_is_stable_for_a_name_and_differs_between_names() -> None:
    schedule = Schedule("0 3 * * *", jitter_seconds=600)
    found = [jitter_of(schedule, f"pipeline-{number}") for number in range(200)]
    assert found == [jitter_of(schedule, f"pipeline-{number}") for number in range(200)]
    assert all(0 <= one <= 600 for one in found)
    assert len(set(found)) > 100
    assert jitter_of(DAILY, "any") == 0


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_date_that_does_not_exist_is_refused(expression: str) -> None:
    assert "never matches" in problem_with(expression)


@pytest.mark.parametrize("expression", CRONTAB_5)
def test_valid_expressions_are_accepted(expression: str) -> None:
    assert problem_with(expression) == ""
