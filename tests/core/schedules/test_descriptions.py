"""The words of a schedule and its times agree: both follow crontab(5) where days of the month and of the week are
given."""

from datetime import UTC, datetime

import pytest

from danube_pkg.core.schedules.cron import Schedule, matches_each_year, next_time, problem_with
from danube_pkg.core.schedules.descriptions import describe_cron

YEAR = (datetime(2027, 1, 1, tzinfo=UTC).timestamp(), datetime(2028, 1, 1, tzinfo=UTC).timestamp())


def days(expression: str) -> set[int]:
    """The days of the year 2027 on which the schedule has a time."""
    found, at = set(), next_time(Schedule(expression), YEAR[0] - 1)
    while at is not None and at < YEAR[1]:
        found.add(datetime.fromtimestamp(at, UTC).timetuple().tm_yday)
        at = next_time(Schedule(expression), at)
    return found


@pytest.mark.parametrize("day", ["*", "1", "*/2", "1-7", "1,15"])
@pytest.mark.parametrize("weekday", ["*", "1", "*/2", "mon-fri", "0"])
def test_words_and_times_combine_days_in_the_same_way(day: str, weekday: str) -> None:
    both = days(f"0 0 {day} * {weekday}")
    of_month, of_week = days(f"0 0 {day} * *"), days(f"0 0 * * {weekday}")
    words = describe_cron(f"0 0 {day} * {weekday}")
    if " or on " in words:
        assert both == of_month | of_week != of_month & of_week
    else:
        assert both == of_month & of_week
    assert (", but only on " in words) == ("*" not in (day, weekday) and (day[0] == "*" or weekday[0] == "*"))


def test_the_star_with_a_step_restricts_the_other_field() -> None:
    assert describe_cron("0 0 */2 * 1") == "at 00:00 every 2 days from day 1 of the month, but only on Monday"
    assert describe_cron("0 0 13 * 5") == "at 00:00 on day 13 of the month or on Friday"


def test_a_range_over_the_end_of_the_week_is_refused_with_what_to_write() -> None:
    assert problem_with("0 0 * * fri-mon") == "'fri-mon' ends before it begins; write fri,sat,sun,mon"
    assert problem_with("0 0 * nov-feb *") == "'nov-feb' ends before it begins; write nov,dec,jan,feb"
    assert problem_with("0 0 * * 5-1") == "'5-1' ends before it begins"


@pytest.mark.parametrize(
    ("expression", "each"),
    [("0 0 29 2 *", False), ("0 0 29 2 1", True), ("0 0 28 2 *", True), ("@yearly", True), ("0 0 31 12 *", True)],
)
def test_a_schedule_of_a_leap_day_does_not_match_each_year(expression: str, each: bool) -> None:
    assert matches_each_year(expression) is each
