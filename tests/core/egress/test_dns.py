"""DNS in a pod: each query is refused, and its name is read."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.egress.dns import read_question


def question(name: str, *, kind: int = 1, flags: int = 0x0100, additional: bytes = b"") -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.split(".") if label)
    counts = (1, 0, 0, 1 if additional else 0)
    return struct.pack(">HHHHHH", 0x1234, flags, *counts) + labels + b"\0" + struct.pack(">HH", kind, 1) + additional


def test_a_query_is_refused_with_its_question() -> None:
    asked = question("Files.Example.org", kind=28)
    found = read_question(asked)
    assert found is not None
    name, answer = found
    assert name == "files.example.org"
    identity, flags, questions, answers, _, _ = struct.unpack_from(">HHHHHH", answer)
    assert (identity, flags, questions, answers) == (0x1234, 0x8105, 1, 0)
    assert answer[12:] == asked[12:]


def test_additional_records_are_not_repeated() -> None:
    asked = question("a.example", additional=b"\0\x00\x29\x04\xd0\0\0\0\0\0\0")
    found = read_question(asked)
    assert found is not None
    assert found[1][12:] == question("a.example")[12:]


def test_other_characters_in_a_name_are_replaced() -> None:
    found = read_question(question("a\n\x1b[31m.example"))
    assert found is not None
    assert found[0] == "a???31m.example"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        question("a.example", flags=0x8100),  # an answer
        question("a.example", flags=0x2900),  # an update
        question("a.example")[:-1],
        question(""),
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01",  # a pointer to itself
    ],
)
def test_anything_but_a_query_is_ignored(data: bytes) -> None:
    assert read_question(data) is None


@given(st.binary(max_size=600))
def test_a_response_is_not_longer_than_its_input(data: bytes) -> None:
    found = read_question(data)
    assert found is None or len(found[1]) <= len(data)
