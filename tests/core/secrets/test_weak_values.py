"""Values that ordinary text contains are named as such, and random ones are not."""

import pytest

from danube_pkg.core.errors import TooLarge
from danube_pkg.core.secrets.secret import MAX_VALUE_BYTES, check_value, warnings_about, weakness


@pytest.mark.parametrize(
    "value",
    [
        b"main",
        b"true",
        b"test",
        b"root",
        b"password",
        b"Production",
        b"feature-branch",
        b"12345678",
        b"aaaaaaaaaaaa",
        b"2026-11-29",
    ],
)
def test_short_values_words_and_numbers_are_weak(value: bytes) -> None:
    (warning,) = warnings_about(value)
    assert value.decode() not in warning
    assert weakness(value) in warning


@pytest.mark.parametrize(
    "value",
    [
        b"kX9aB3cDEfGhIjKl",
        b"correct-horse-battery-staple",
        b"0123-4567-89ab-cdef!",
        b"s3cr3t-p4ss",
        b"a\nb\nc\nd\nefgh",
    ],
)
def test_other_values_are_not(value: bytes) -> None:
    assert warnings_about(value) == ()


def test_a_line_break_that_was_pasted_is_named() -> None:
    assert warnings_about(b"kX9aB3cDEfGhIjKl\n") == ("the value ends with a line break, which commands get too",)
    assert warnings_about(b"-----BEGIN\nkX9aB3cDEfGhIjKl\n") == ()


def test_the_size_of_a_value_is_not_stated_where_only_a_part_of_it_was_read() -> None:
    with pytest.raises(TooLarge) as refusal:
        check_value(b"b" * (MAX_VALUE_BYTES + 2))
    assert str(refusal.value).startswith("the value has more than 65536 bytes")
