"""Records as JSON: written compactly, read back by type, with the two values that JSON cannot hold."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import pytest

from danube_pkg.kit.records import Record, decode_json, encode_json, field


class Colour(StrEnum):
    """Any enumeration."""

    RED = "red"


class Point(Record):
    """A nested record."""

    x: float
    y: float = 0.0


class Circle(Record, tag_field="kind", tag="Circle"):
    """One of two records that differ by their tag."""

    centre: Point
    colour: Colour = Colour.RED
    labels: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


class Empty(Record, tag_field="kind", tag="Empty"):
    """The other."""


SHAPE = cast("type[Circle | Empty]", Circle | Empty)


def test_a_record_is_read_back_as_it_was_written() -> None:
    circle = Circle(Point(1.0, 2.5), labels=("ä", "b"), extra={"n": 1, "list": [True, None]})
    data = encode_json(circle)
    assert data.startswith('{"kind":"Circle","centre":{"x":1.0,"y":2.5},"colour":"red","labels":["ä","b"]'.encode())
    assert decode_json(data, Circle) == circle
    assert decode_json(data.decode(), SHAPE) == circle
    assert decode_json(encode_json(Empty()), SHAPE) == Empty()


def test_missing_fields_have_their_defaults_and_unknown_ones_are_ignored() -> None:
    assert decode_json('{"x": 1, "z": 3}', Point) == Point(1.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"y": 1}', "required field `x`"),
        ('{"x": "1"}', r"\$\.x"),
        ('{"x": 1', "delimiter"),
        ("", "value"),
    ],
)
def test_data_of_another_type_is_a_value_error_that_says_where(data: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_json(data, Point)


def test_a_lone_surrogate_is_written_as_a_question_mark_and_read_where_it_was_escaped() -> None:
    assert encode_json({"text": "a\udc80b", "point": Point(1.0)}) == b'{"text":"a?b","point":{"x":1.0,"y":0.0}}'
    assert decode_json('"a\\udc80b"', str) == "a\udc80b"


def test_not_a_number_is_written_as_null() -> None:
    assert encode_json([float("nan"), float("inf")]) == b"[null,null]"
