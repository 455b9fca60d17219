"""Retry-After: a number of seconds or a date, always bounded; any other text is not a value."""

import pytest

from danube_pkg.kit.retry_after import retry_after_seconds

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("120", 100.0),
        ("999999999", 100.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("Tue, 14 Nov 2023 20:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 100.0),
    ],
)
def test_a_value_is_read_and_bounded(header: str, seconds: float) -> None:
    assert retry_after_seconds(header, NOW, max_seconds=100.0) == seconds


@pytest.mark.parametrize(
    "header", ["", "²", "٣", "-1", "1.5", "1e9", "9" * 400, "soon", "Tue, 14 Nov 99999 22:13:20 GMT", "\0"]
)
def test_any_other_text_is_not_a_value(header: str) -> None:
    assert retry_after_seconds(header, NOW, max_seconds=100.0) is None
