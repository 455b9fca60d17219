"""Masking does not depend on the chunks of the stream, and no form of a secret passes."""

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danube_pkg.core.logs.finders import automaton_finder, plain_finder
from danube_pkg.core.logs.redaction import Patterns, redact_text
from tests.support.examples import examples

SECRET = "s3cr3t/Value+with=ä and space"
PEM = b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEA\n-----END KEY-----\n"


def stream(patterns: Patterns, chunks: Sequence[bytes]) -> bytes:
    held, out = b"", b""
    for chunk in chunks:
        held += chunk
        emitted, consumed = patterns.mask(held)
        out, held = out + emitted, held[consumed:]
    return out + patterns.mask(held, final=True)[0]


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        *(base64.b64encode(b"x" * n + SECRET.encode() + b"y" * m).decode() for n in range(3) for m in range(3)),
        *(base64.urlsafe_b64encode(b"x" * n + SECRET.encode()).decode() for n in range(3)),
    ],
)
def test_every_form_of_a_value_is_masked(form: str) -> None:
    masked = redact_text(Patterns([SECRET.encode()]), f"before {form} after")
    assert "***" in masked
    assert len(masked) <= len("before *** after") + 9, masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_a_multi_line_value_is_masked_whole_and_line_by_line() -> None:
    patterns = Patterns([PEM])
    assert patterns.mask(b"a " + PEM + b"b", final=True)[0] == b"a ***\nb"
    assert patterns.mask(b"> MIIEvQIBADANBgkqhkiG9w0B <", final=True)[0] == b"> *** <"
    assert b"MIIE" not in patterns.mask(PEM.replace(b"\n", b"\r\n"), final=True)[0]


def test_overlapping_values_become_one_mask() -> None:
    patterns = Patterns([b"abcdef", b"defghi", b"efgh"])
    assert patterns.mask(b"xabcdefghix", final=True)[0] == b"x***x"


def test_a_value_that_begins_a_longer_one_is_held_back() -> None:
    patterns = Patterns([b"token", b"token-long"])
    assert patterns.mask(b"a token") == (b"a ", 2)
    assert patterns.mask(b"token-lon") == (b"", 0)
    assert patterns.mask(b"token-lonx") == (b"***-lonx", 10)
    assert patterns.mask(b"token-long") == (b"***", 10)


def test_nothing_else_is_held_back() -> None:
    patterns = Patterns([b"secret-value"])
    for prompt in (b"Password: ", b"continue? [y/n] ", b"50%\r", b"the end"):
        assert patterns.mask(prompt) == (prompt, len(prompt))
    assert patterns.mask(b"this is se") == (b"this is ", 8)


def test_what_is_held_back_is_bounded() -> None:
    patterns = Patterns([b"aaaa"])
    held = b""
    for _ in range(5):
        held += b"a" * 70_000
        emitted, consumed = patterns.mask(held)
        assert b"aaaa" not in emitted
        held = held[consumed:]
        assert len(held) < 150_000


VALUES = st.lists(st.text("ab", min_size=4, max_size=8).map(str.encode), min_size=1, max_size=4)
TEXTS = st.text("abc\n", max_size=80).map(str.encode)


def whole(values: Sequence[bytes], raw: bytes) -> bytes:
    """The output in one piece."""
    return Patterns(values).mask(raw, final=True)[0]


@settings(max_examples=examples(200))
@given(VALUES, TEXTS, st.data())
def test_the_output_does_not_depend_on_the_chunks(values: list[bytes], raw: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    expected = whole(values, raw)
    for finder in (automaton_finder, plain_finder):
        assert stream(Patterns(values, finder=finder), chunks) == expected
    assert not any(value in expected for value in values)


@given(VALUES, TEXTS, st.integers(0, 80))
def test_a_restart_at_the_held_back_bytes_gives_the_same(values: list[bytes], raw: bytes, cut: int) -> None:
    patterns = Patterns(values)
    emitted, consumed = patterns.mask(raw[:cut])
    assert emitted + patterns.mask(raw[consumed:], final=True)[0] == whole(values, raw)
