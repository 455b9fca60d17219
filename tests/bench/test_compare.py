"""The ratios of two revisions: above 1 is worse, whichever side of a figure is good."""

from typing import Any

import pytest

from bench.compare import matched, print_pair, ratio_of


def figure(name: str, value: float, unit: str = "s", *, at_most: bool = True) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "at_most": at_most}


def test_more_seconds_are_worse() -> None:
    assert ratio_of(figure("start", 1.0), figure("start", 1.5)) == pytest.approx(1.5)


def test_fewer_requests_are_worse() -> None:
    old, new = figure("rate", 100.0, "/s", at_most=False), figure("rate", 50.0, "/s", at_most=False)
    assert ratio_of(old, new) == pytest.approx(2.0)


def test_an_empty_measurement_has_no_ratio() -> None:
    assert ratio_of(figure("start", 0.0), figure("start", 1.0)) is None


def test_a_renamed_figure_is_matched_by_its_position() -> None:
    before, after = (
        [figure("start", 1.0), figure("memory", 60.0, "MB")],
        [figure("first answer", 2.0), figure("memory", 61.0, "MB")],
    )
    assert [(old["name"], new["name"]) for old, new in matched(before, after)] == [
        ("start", "first answer"),
        ("memory", "memory"),
    ]


def test_a_new_figure_has_no_counterpart() -> None:
    before, after = [figure("memory", 60.0, "MB")], [figure("start", 1.0), figure("memory", 61.0, "MB")]
    assert [(old["name"], new["name"]) for old, new in matched(before, after)] == [("memory", "memory")]


def test_each_pair_is_printed_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    print_pair([figure("start", 1.0), figure("rate", 0.0)], [figure("start", 1.5), figure("rate", 2.0)])
    assert capsys.readouterr().out == "  new/old: start 1.500\n"
