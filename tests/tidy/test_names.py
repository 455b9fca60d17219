"""Names say what is inside and mean one thing; the rules find those that do not."""

import pytest

from tests.tidy import names
from tests.tidy.findings import assert_empty, assert_none
from tests.tidy.tree import Source, python, written


def test_names_say_what_is_inside() -> None:
    assert_none(names.vague_name, written())


def test_a_public_class_name_means_one_thing() -> None:
    assert_empty(names.repeated_class_names(python("danube_pkg/", "sdk/")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("danube_pkg/core/sample.py", "class PodManager: ...\n"),
        ("danube_pkg/core/sample.py", "def log_utils(): ...\n"),
        ("danube_pkg/core/utils.py", ""),
        ("danube_pkg/log_helpers/names.py", ""),
    ],
)
def test_a_vague_name_is_found(name: str, text: str) -> None:
    assert list(names.vague_name(Source(name, text)))


def test_a_name_that_only_contains_a_vague_word_passes() -> None:
    assert not list(names.vague_name(Source("danube_pkg/core/sample.py", "def commonly(): ...\n")))


def test_a_class_name_that_is_used_twice_is_found_with_its_places() -> None:
    one, other = Source("danube_pkg/a.py", "class Place: ...\n"), Source("sdk/b.py", "\nclass Place: ...\n")
    assert list(names.repeated_class_names([one, other])) == ["Place: danube_pkg/a.py:1, sdk/b.py:2"]


def test_private_and_nested_classes_may_share_a_name() -> None:
    text = "class _Row: ...\nclass {}:\n    class Row: ...\n"
    pair = [Source("danube_pkg/a.py", text.format("A")), Source("danube_pkg/b.py", text.format("B"))]
    assert list(names.repeated_class_names(pair)) == []
