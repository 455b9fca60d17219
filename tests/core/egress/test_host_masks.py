"""A secret in a host name is masked in each form that clients write, and the rest of the name is kept."""

import base64

import pytest

from danube_pkg.core.egress.host_masks import NO_MASKS, HostMasks, host_forms
from danube_pkg.core.logs.finders import plain_finder
from danube_pkg.core.logs.secret_forms import MAX_ENCODED_LINES

SECRET = b"Correct.Horse_9-Battery"


@pytest.mark.parametrize(
    "name",
    [
        "Correct.Horse_9-Battery",
        "correct.horse_9-battery",
        SECRET.hex(),
        SECRET.hex().upper(),
        base64.b64encode(SECRET).rstrip(b"=").decode().lower(),
        base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode(),
    ],
)
@pytest.mark.parametrize("finder", [None, plain_finder])
def test_each_form_is_masked_in_upper_and_lower_case(name: str, finder: type | None) -> None:
    masks = HostMasks(host_forms([SECRET, b"another-value"]), finder)
    assert masks.mask(f"a.{name}.example.org").startswith("a.***")
    assert masks.mask(f"a.{name}.example.org").endswith(".example.org")
    assert masks.mask(name) in ("***", "***" + name[-1])  # the last letter of base64 is not of the value alone


@pytest.mark.parametrize(
    ("value", "name", "left"),
    [
        (b"dots.at.the.end.", "dots.at.the.end", "***"),
        (b"Kx9/part+with=more", "part?with?more", "***"),
        (b"kX9aB3cD/EfGhIjKl", "kx9ab3cd", "***"),
        (b"user:pass-word@host", "pass-word", "***"),
        (b"with a space", "with?a?space.evil.test", "***.evil.test"),
        ("schlüssel-wort".encode(), "schl??ssel-wort.test", "***.test"),
        ("schlüssel-wort".encode(), "schlüssel-wort".encode("idna").decode() + ".test", "***.test"),
        ("Schlüssel-Wort".encode(), "xn--" + "mein-schlüssel-wort".encode("punycode").decode() + ".test", "mein-***.test"),
        ("Großbuchstaben".encode(), "grossbuchstaben.test", "***.test"),
    ],
)  # fmt: skip
def test_a_value_that_a_client_changes_as_a_host_is_masked(value: bytes, name: str, left: str) -> None:
    assert HostMasks(host_forms([value])).mask(name) == left


def test_other_names_are_kept() -> None:
    masks = HostMasks(host_forms([SECRET, b"four"]))
    for name in ("files.test", "xn--fa-hia.example", "xn--.test", "xn--\udc80", "[::1]", "", "horse"):
        assert masks.mask(name) == name.encode(errors="surrogateescape").decode(errors="replace")
    assert masks.mask("fourfold.test") == "***fold.test"
    assert NO_MASKS.mask("files.test") == "files.test"


def test_forms_do_not_reveal_characters_that_names_cannot_have() -> None:
    """The process that masks names cannot restore keys from their forms."""
    forms = host_forms([b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B+/\n", b"x" * 300])
    assert all(form.isascii() and form == form.lower() and len(form) <= 253 for form in forms)
    assert "miievqibadanbgkqhkig9w0b??" in forms


@pytest.mark.parametrize(("lines", "encoded"), [(MAX_ENCODED_LINES, True), (MAX_ENCODED_LINES + 1, False)])
def test_many_lines_of_a_value_are_masked_as_they_are(lines: int, encoded: bool) -> None:
    """The nine encodings of each of thousands of lines took 225 ms for every contact of a job."""
    value = b"\n".join(f"host-{number}-Secret{number * 7919}Q".encode() for number in range(1, lines + 1))
    masks = HostMasks(host_forms([value]))
    assert masks.mask("a.host-5-secret39595q.b") == "a.***.b"
    name = b"host-5-Secret39595Q".hex()
    assert masks.mask(f"{name}.b") == ("***.b" if encoded else f"{name}.b")
