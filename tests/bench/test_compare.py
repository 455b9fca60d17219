"""The ratios of two revisions: above 1 is worse, whichever side of a figure is good."""

import pytest

from bench.compare import Figures, ratios_of


def figures(*, seconds: float, requests: float) -> Figures:
    return {
        "start": {"name": "start", "value": seconds, "at_most": True},
        "rate": {"name": "rate", "value": requests, "at_most": False},
    }


def test_more_seconds_and_fewer_requests_are_worse() -> None:
    pairs = [(figures(seconds=1.0, requests=100.0), figures(seconds=1.5, requests=50.0))]
    assert ratios_of(pairs) == {"start": [pytest.approx(1.5)], "rate": [pytest.approx(2.0)]}


def test_a_figure_of_one_revision_has_no_ratio() -> None:
    old = figures(seconds=1.0, requests=100.0)
    assert ratios_of([(old, {}), (old, old)]) == {"start": [1.0], "rate": [1.0]}


def test_an_empty_measurement_is_left_out() -> None:
    assert ratios_of([(figures(seconds=0.0, requests=10.0), figures(seconds=2.0, requests=10.0))]) == {"rate": [1.0]}
