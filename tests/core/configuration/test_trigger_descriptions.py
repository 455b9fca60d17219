"""Schedules and triggers described in words."""

import pytest

from danube_pkg.core.configuration.pipelines import PipelineEnd, PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.trigger_descriptions import describe_trigger
from danube_pkg.core.schedules.cron import problem_with
from danube_pkg.core.schedules.descriptions import describe_cron


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour"),
        ("5,35 * * * *", "every hour at minute 5 and 35"),
        ("0 3 * * *", "every day at 03:00"),
        ("30 3,15 * * *", "every day at 03:30 and 15:30"),
        ("0 9 * * 1-5", "at 09:00 on Monday to Friday"),
        ("0 9 * * mon,wed,7", "at 09:00 on Monday, Wednesday and Sunday"),
        ("@weekly", "at 00:00 on Sunday"),
        ("@monthly", "at 00:00 on day 1 of the month"),
        ("@yearly", "at 00:00 on day 1 of the month in January"),
        ("0 0 1 jan,7 *", "at 00:00 on day 1 of the month in January and July"),
        ("0 0 13 * fri", "at 00:00 on day 13 of the month or on Friday"),
        ("0 */6 * * *", "every 6 hours"),
        ("20 */6 * * *", "every 6 hours at minute 20"),
        ("*/10 8-18 * * *", "minute every 10 of hour 8 to 18"),
        ("0 0-23/2 * * *", "minute 0 of hour every 2 from 0 to 23"),
        ("0,10,20,30 1,2 * * *", "minute 0, 10, 20 and 30 of hour 1 and 2"),
        ("* 3 * * *", "every minute of hour 3"),
        ("0 3 5/10 * *", "at 03:00 on day every 10 from 5 on of the month"),
    ],
)
def test_a_schedule_in_words(expression: str, words: str) -> None:
    assert problem_with(expression) == ""
    assert describe_cron(expression) == words


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (TriggerSpec(TriggerKind.PUSH), "A push to main or release/* that touches src/** and more than docs/**"),
        (TriggerSpec(TriggerKind.PULL_REQUEST), "A pull request to main or release/* that touches src/** and more than docs/**"),
        (TriggerSpec(TriggerKind.TAG), "A tag"),
        (TriggerSpec(TriggerKind.MANUAL), "A manual start"),
        (TriggerSpec(TriggerKind.PIPELINE, pipeline="app", result=PipelineEnd.FAILURE), "The failure of app"),
        (TriggerSpec(TriggerKind.PIPELINE, pipeline="app", result=PipelineEnd.ALWAYS), "The end of app"),
        (
            TriggerSpec(TriggerKind.CRON, "0 3 * * *", "Europe/Vienna", 300),
            "Every day at 03:00 (Europe/Vienna), delayed by up to 300 s",
        ),
    ],
)  # fmt: skip
def test_a_trigger_in_words(trigger: TriggerSpec, words: str) -> None:
    spec = PipelineSpec("/app", branch_filter=("main", "release/*"), paths=("src/**",), paths_ignore=("docs/**",))
    assert describe_trigger(trigger, spec) == words


def test_a_trigger_without_filters() -> None:
    assert describe_trigger(TriggerSpec(TriggerKind.PUSH), PipelineSpec("/app")) == "A push to any branch"
    ignoring = PipelineSpec("/app", paths_ignore=("*.md",))
    assert (
        describe_trigger(TriggerSpec(TriggerKind.PULL_REQUEST), ignoring)
        == "A pull request that touches more than *.md"
    )
