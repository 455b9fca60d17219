"""Tokens of known formats and e-mail addresses are masked without their values, in parts too, and other text is not."""

import base64
from collections.abc import Sequence

import pytest

from danube_pkg.core.logs.redaction import Patterns, ValueSet
from danube_pkg.core.logs.token_formats import OWN_LINES, TOKEN_FORMATS

FORMATS = Patterns(sets=[ValueSet((), TOKEN_FORMATS)])
EMAILS = Patterns(mask_emails=True)

BODY = base64.encodebytes(bytes(range(256)) * 3).decode()
TOKENS = {
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS, temporary": "ASIA" + "IOSFODNN7EXAMPLE",
    "GitHub": "ghp_" + "0123456789abcdef0123456789abcdef0123",
    "GitHub, server": "ghs_" + "0123456789abcdef0123456789abcdef0123",
    "GitHub, fine-grained": "github_pat_" + "11ABCDEFG0123456789_abcdefghijklmnopqrstuvwxyz0123456789",
    "GitLab": "glpat-" + "abcdefGHIJKL01234567",
    "Slack": "xoxb-" + "123456789012-abcdefghijkl",
    "Danube": "dt1_" + "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----",
    "private key in JSON": "-----BEGIN PRIVATE KEY-----\\n" + BODY.replace("\n", "\\n") + "-----END PRIVATE KEY-----",
}


def in_parts(patterns: Patterns, parts: Sequence[bytes]) -> bytes:
    held, out, before = b"", b"", b""
    for part in parts:
        held += part
        emitted, consumed = patterns.mask(held, before=before)
        before = (before + held[:consumed])[-96:]
        out, held = out + emitted, held[consumed:]
    return out + patterns.mask(held, final=True, before=before)[0]


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_of_a_known_format_is_masked_however_its_bytes_come(name: str) -> None:
    raw = f"token={TOKENS[name]} end\n".encode()
    assert FORMATS.mask(raw, final=True)[0] == b"token=*** end\n"
    for size in (1, 7, 100):
        assert in_parts(FORMATS, [raw[at : at + size] for at in range(0, len(raw), size)]) == b"token=*** end\n"


@pytest.mark.parametrize(
    "text",
    [
        "AKIA is the prefix of keys",
        "MAKIAIOSFODNN7EXAMPLE",
        "ghp_short",
        "eyJhbGciOiJIUzI1NiJ9 is a header",
        "xoxo-love",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "grep -----BEGIN PRIVATE KEY----- in the sources",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert FORMATS.mask(text.encode(), final=True)[0] == text.encode()
    assert in_parts(FORMATS, [text[:9].encode(), text[9:].encode()]) == text.encode()


def test_other_text_is_not_held_back() -> None:
    for text in (b"the end\n", b"continue? [y/n] ", b"begin ", b"-----\n", b"progress 50%\r"):
        assert FORMATS.mask(text) == (text, len(text))
        assert Patterns(sets=[ValueSet((), OWN_LINES)]).mask(text) == (text, len(text))


def test_a_private_key_whose_end_never_comes_is_masked_as_far_as_it_is_one() -> None:
    lines = "\n".join(BODY.splitlines()[:5])
    raw = f"-----BEGIN PRIVATE KEY-----\n{lines}\nerror: no space left\n".encode()
    out = in_parts(FORMATS, [raw[:90], raw[90:]])
    assert out == b"***\nerror: no space left\n"


def test_e_mail_addresses_are_masked_where_it_is_wanted() -> None:
    raw = b"from bob.b+x@mail.example.com, to <alice@example.org>; not user@host nor a@b\n"
    expected = b"from ***, to <***>; not user@host nor a@b\n"
    assert EMAILS.mask(raw, final=True)[0] == expected
    assert in_parts(EMAILS, [raw[at : at + 1] for at in range(len(raw))]) == expected
    assert FORMATS.mask(raw, final=True)[0] == raw


@pytest.mark.parametrize(
    "piece",
    [b"-----BEGIN PRIVATE KEY-----\n", b"eyJhbGciOi.", b"--- job\n", b"ghp_x ", b"AKIA", b"-----BEGIN A", b"a@b."],
)
def test_of_output_full_of_beginnings_little_is_held_back(piece: bytes) -> None:
    patterns = Patterns(sets=[ValueSet((), (*OWN_LINES, *TOKEN_FORMATS))], mask_emails=True)
    raw = piece * (60_000 // len(piece))
    held = b""
    for at in range(0, len(raw), 6000):
        held += raw[at : at + 6000]
        held = held[patterns.mask(held)[1] :]
        assert len(held) < 2 * 16 * 1024
