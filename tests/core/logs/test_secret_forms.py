"""Nothing of a secret is left in any form in which tools print it, whatever its bytes and the chunks of the stream."""

import base64
import html
import json
import re
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable, Sequence
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danube_pkg.core.logs.redaction import BEFORE_BYTES, MASK, Patterns, ValueSet
from tests.support.examples import examples

TRICKY = "Tr0ub'4dor&3<x>!(q) /\\\"é+=~:;$`%41#*|{}[]"


def stream(patterns: Patterns, chunks: Sequence[bytes]) -> bytes:
    """The output for a stream, as the writer of a log makes it."""
    held, out, before = b"", b"", b""
    for chunk in chunks:
        held += chunk
        emitted, consumed = patterns.mask(held, before=before)
        before = (before + held[:consumed])[-BEFORE_BYTES:]
        out, held = out + emitted, held[consumed:]
    return out + patterns.mask(held, final=True, before=before)[0]


def go_json(text: str) -> str:
    return re.sub("[<>&]", lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False)[1:-1])


def php_json(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", "\\/")


def bash_quoted(text: str) -> str:
    return text.replace("'", "'\\''")


def dash_quoted(text: str) -> str:
    return re.sub("'+", lambda found: f"'\"{found.group()}\"'", text)


def percent_q(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_@%+:,./=\x80-\U0010ffff-]", lambda found: "\\" + found.group(), text)


def each_byte(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form % byte for byte in text.encode())


def dump(row: Callable[[int, bytes], str]) -> Callable[[str], str]:
    def printed(text: str) -> str:
        data = b"<token=" + text.encode() + b">"
        return "".join(row(at, data[at : at + 16]) + "\n" for at in range(0, len(data), 16))

    return printed


def xxd_row(at: int, row: bytes) -> str:
    groups = " ".join(row[n : n + 2].hex() for n in range(0, len(row), 2))
    return f"{at:08x}: {groups:<39}  {''.join(chr(b) if 32 <= b < 127 else '.' for b in row)}"


def hexdump_row(at: int, row: bytes) -> str:
    groups = f"{row[:8].hex(' ')}  {row[8:].hex(' ')}"
    return f"{at:08x}  {groups:<49} |{''.join(chr(b) if 32 <= b < 127 else '.' for b in row)}|"


ENCODERS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, second alignment": lambda text: base64.b64encode(b"x" + text.encode()).decode()[2:],
    "base64, third alignment": lambda text: base64.b64encode(b"xy" + text.encode()).decode()[3:],
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in a URL": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "hex": lambda text: text.encode().hex(),
    "hex, upper": lambda text: text.encode().hex().upper(),
    "openssl": lambda text: text.encode().hex(":"),
    "openssl, upper": lambda text: text.encode().hex(":").upper(),
    "od -An": lambda text: " " + text.encode().hex(" "),
    "od": dump(lambda at, row: f"{at:07o} {row.hex(' ')}"),
    "xxd": dump(xxd_row),
    "hexdump -C": dump(hexdump_row),
    "json of Python": lambda text: json.dumps(text)[1:-1],
    "json of JavaScript": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json of Go": go_json,
    "json of PHP": php_json,
    "json, upper": lambda text: re.sub(r"\\u....", lambda found: "\\u" + found.group()[2:].upper(), php_json(text)),
    "bash -x": bash_quoted,
    "dash": dash_quoted,
    "printf %q": percent_q,
    "xml": escape,
    "html": html.escape,
    "html, apostrophe": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    "html, numbers": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "quote": quote,
    "quote, no safe": lambda text: quote(text, safe=""),
    "quote_plus": quote_plus,
    "encodeURIComponent": lambda text: quote(text, safe="!'()*~"),
    "encodeURI": lambda text: quote(text, safe=";,/?:@&=+$!'()*#~"),
    "percent, lower": lambda text: re.sub("%..", lambda found: found.group().lower(), quote(text, safe="")),
    "percent, every byte": each_byte("%%%02X"),
    "percent, every byte, lower": each_byte("%%%02x"),
    "escapes, every byte": each_byte("\\x%02x"),
    "repr": lambda text: repr(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
}

ANY_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=("Cs", "Cc")), max_size=40
)
SECRETS = st.one_of(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=90),
    ANY_TEXT.map(lambda text: text + "0123456789abcdef").filter(lambda text: len(text.strip()) >= 16),
)


def chunks_of(data: st.DataObject, raw: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    return [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


def longest_left(form: str, out: bytes) -> int:
    """Characters of a form that stand together in the output."""
    text, left = form.encode(), 0
    for start in range(len(text)):
        while text[start : start + left + 1] in out and start + left < len(text):
            left += 1
    return left


@pytest.mark.parametrize("name", ENCODERS)
@settings(max_examples=examples(12), deadline=None)
@given(data=st.data())
def test_nothing_of_a_value_is_left_in_any_form(name: str, data: st.DataObject) -> None:
    secret = data.draw(st.one_of(st.just(TRICKY), SECRETS)).strip()
    form = ENCODERS[name](secret)
    is_dump = name in ("od", "xxd", "hexdump -C")
    raw = b"before [" + b"\n" * is_dump + form.encode() + b"] after\n"
    out = stream(Patterns([secret.encode()]), chunks_of(data, raw))
    assert MASK in out
    assert len(out) <= len(b"before [*** ***] after") + 14 + 80 * is_dump, out
    assert out.startswith(b"before ["), out
    assert b"after" in out


ODD_ESCAPES = [
    rb"\8", rb"\9", rb"\u", rb"\x", rb"\400", rb"\777", rb"\ud800", rb"\udfff\ud800", rb"\Uffffffff", rb"\U00110000",
    b"&#9999999;", b"&#xffffff;", b"&#0;", b"&unknown;", b"%", b"%0", b"%ZZ", b"'\\", b"\\",
]  # fmt: skip


@pytest.mark.parametrize("escape", ODD_ESCAPES)
def test_an_escape_that_stands_for_nothing_is_ordinary_output(escape: bytes) -> None:
    """Behind the beginning of a value, where it is compared."""
    secret = b"correct-horse-battery" + escape + b"staple"
    patterns = Patterns([secret])
    other = b"correct-horse-battery" + escape + b" and something else\n"
    assert stream(patterns, [other]) == other
    assert stream(patterns, [b"[" + secret + b"]\n"]) == b"[" + MASK + b"]\n"


FOLDED = ("raw", "base64", "base64, second alignment", "base64, third alignment", "hex", "openssl", "od -An", "quote")


@pytest.mark.parametrize("name", FOLDED)
@settings(max_examples=examples(15), deadline=None)
@given(st.data(), SECRETS, st.integers(1, 100), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "  ", "\t    "]))
def test_a_folded_form_is_masked_at_any_width(
    name: str, data: st.DataObject, secret: str, width: int, end: str, indent: str
) -> None:
    text = ENCODERS[name](secret.strip().replace(" ", "_")).strip()
    step = 3 if name in ("openssl", "od -An") else 2 if name == "hex" else 1
    width = -(-width // step) * step
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    raw = ("before [" + (end + indent).join(lines) + "] after\n").encode()
    out = stream(Patterns([secret.strip().replace(" ", "_").encode()]), chunks_of(data, raw))
    left = re.sub(rb"\s", b"", out)
    assert MASK in out
    assert len(left) <= len(b"before[***]after") + 16, (raw, out)


PROGRAMS = {
    "bash -c 'set -x; : \"$T\"' 2>&1": "bash",
    "bash -c 'printf %q \"$T\"'": "bash",
    "bash -c 'echo \"${T@Q}\"'": "bash",
    "bash -c 'declare -p T'": "bash",
    "dash -c 'set -x; : \"$T\"' 2>&1": "dash",
    "dash -c 'export -p'": "dash",
    'printf %s "$T" | base64': "base64",
    'printf %s "$T" | base64 -w 20': "base64",
    'printf "user:%s" "$T" | base64 -w 7': "base64",
    'printf %s "$T" | xxd -p': "xxd",
    'printf %s "$T" | xxd': "xxd",
    'printf "pass=%s\\n" "$T" | xxd': "xxd",
    'printf %s "$T" | xxd -u -c 8': "xxd",
    'printf "abc%s" "$T" | od -tx1': "od",
    'printf %s "$T" | od -An -tx1': "od",
    'printf %s "$T" | hexdump -C': "hexdump",
    'printf %s "$T" | openssl base64': "openssl",
    "python3 -c \"import os,json; t=os.environ['T']; print(json.dumps(t), repr(t), t.encode(), ascii(t))\"": "python3",
    'git config --file /dev/null --get-all x; printf "%s\\n" "$T" | fold -w 11': "git",
}


INSTALLED = [command for command, program in PROGRAMS.items() if shutil.which(program)]


@pytest.mark.parametrize("command", INSTALLED)
@pytest.mark.parametrize("secret", [TRICKY, base64.b64encode(bytes(range(3, 75))).decode()], ids=["tricky", "long"])
def test_what_programs_print_is_masked(command: str, secret: str) -> None:
    done = subprocess.run(
        ["sh", "-c", command], env={"T": secret, "PATH": "/usr/bin:/bin"}, capture_output=True, check=False
    )
    out = Patterns([secret.encode()]).mask(done.stdout, final=True)[0]
    assert MASK in out, (done.stdout, done.stderr)
    clear = re.sub(rb"\s", b"", out)
    for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode()):
        assert longest_left(form, clear) < 8, out


# --- what a value costs

LARGEST = {
    "one letter": b"a" * 65536,
    "quotes": b"'" * 65536,
    "random": bytes(byte * 7 % 251 for byte in range(65536)),
    "a key": b"-----BEGIN PRIVATE KEY-----\n"
    + base64.encodebytes(bytes(range(256)) * 180)
    + b"-----END PRIVATE KEY-----",
    "lines": b"\n".join(b"line-%06d-Of=Some" % number for number in range(3200)),
    "blanks": b": " * 32767 + b"x",
}


@pytest.mark.parametrize("name", LARGEST)
def test_a_value_at_the_bound_costs_little_memory(name: str) -> None:
    """A few characters of each form are kept, not the forms: whole forms of 64 KiB would have 4 MB."""
    tracemalloc.start()
    made = ValueSet([LARGEST[name]])
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(LARGEST[name]) <= 65536
    assert kept < 3_000_000
    assert peak < 5_000_000
    assert sum(map(len, made.anchors)) < 100_000, "the automaton is made from these alone"


@pytest.mark.parametrize("name", LARGEST)
def test_a_value_at_the_bound_is_masked(name: str) -> None:
    value = LARGEST[name]
    patterns = Patterns([value])
    for form in (value, base64.encodebytes(value), value.hex().encode()):
        out = stream(patterns, [b"<", form[:30_000], form[30_000:], b">\n"])
        assert len(re.sub(rb"\s", b"", out)) < 60, out[:300]
        assert out.startswith(b"<***")


def test_output_that_is_dense_with_beginnings_of_a_secret_is_masked_without_comparing_each() -> None:
    patterns = Patterns([b"a" * 65536])
    emitted, consumed = patterns.mask(b"a" * 60_000 + b" end\n")
    assert (emitted, consumed) == (b"*** end\n", 60_005)
    assert patterns.mask(b"aaaaaaaaaaaa end\n")[0] == b"aaaaaaaaaaaa end\n"


def test_a_value_of_blanks_and_colons_alone_is_masked() -> None:
    assert Patterns([b":: :: ::"]).mask(b"a :: :: :: b", final=True)[0] == b"a *** b"
    assert stream(Patterns([b":" * 65536]), [b"a" + b":" * 90, b":" * 29, b":b"]) == b"a***b"
    assert stream(Patterns([b":: :: ::"]), [b"a ::", b" :: :", b": b"]) == b"a *** b"


# --- ordinary text

KUBECONFIG = b"""apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSURCVENDQWUyZ0F3SUJBZ0lJ
    server: https://10.1.2.3:6443
  name: kubernetes
contexts: []
current-context: kubernetes-admin@kubernetes
preferences: {}
users:
- name: kubernetes-admin
  user:
    token: eyJrIjoiYWJjZGVmZ2hpamtsbW5vcCJ9
    password: hunter2hunter2
"""

ORDINARY = b"""apiVersion: v1
kind: ConfigMap
contexts: none
metadata:
  name: default-ns
users:
server: https://10.1.2.3:6443
current-context: kubernetes-admin@kubernetes
preferences: {}
"""


def test_lines_of_a_structured_secret_that_are_keys_or_words_are_left_alone() -> None:
    patterns = Patterns([KUBECONFIG])
    assert patterns.mask(ORDINARY, final=True)[0] == ORDINARY
    out = patterns.mask(b"x\n" + KUBECONFIG, final=True)[0]
    assert out == b"x\n***\n"
    secret_parts = b"tok eyJrIjoiYWJjZGVmZ2hpamtsbW5vcCJ9 pass=hunter2hunter2 LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSURCVENDQWUyZ0F3SUJBZ0lJ\n"
    assert patterns.mask(secret_parts, final=True)[0] == b"tok *** pass=*** ***\n"


def test_lines_of_json_and_of_environment_files_are_left_alone() -> None:
    secret = b'{\n  "enabled": true,\n  "name": "production",\n  "private_key": "kX9aB3cDEfGhIjKl"\n}\n'
    text = b'{\n  "enabled": true,\n  "name": "production",\n}\n'
    assert Patterns([secret]).mask(text, final=True)[0] == text
    assert Patterns([secret]).mask(b"key kX9aB3cDEfGhIjKl.", final=True)[0] == b"key ***."
    environment = b"# database of production\nDB_HOST=database.internal\nDB_PASSWORD=correct-horse\n"
    assert Patterns([environment]).mask(b"DB_HOST=database.internal correct-horse", final=True)[0] == (
        b"DB_HOST=database.internal ***"
    )


def test_lines_are_not_masked_inside_of_words() -> None:
    patterns = Patterns([b"first line of a text\nsecond line of a text\n"])
    assert patterns.mask(b"a first line of a text, a first line of a textbook", final=True)[0] == (
        b"a ***, a first line of a textbook"
    )


def test_each_line_of_a_key_is_masked_with_indentation_and_without_its_header() -> None:
    key = LARGEST["a key"][:2000] + b"\n-----END PRIVATE KEY-----\n"
    patterns = Patterns([key])
    body = key.splitlines()[5]
    assert patterns.mask(b"    data: " + body + b" x", final=True)[0] == b"    data: *** x"
    indented = b"".join(b"      " + line + b"\r\n" for line in key.splitlines())
    assert stream(patterns, [indented[:700], indented[700:1403], indented[1403:]]) == b"      ***\r\n"
    assert patterns.mask(b"-----BEGIN PRIVATE KEY-----\n", final=True)[0] == b"-----BEGIN PRIVATE KEY-----\n"


def test_a_value_whose_first_characters_ended_an_emitted_line_is_masked() -> None:
    """Such a line end is not held back, since every line may end so."""
    patterns = Patterns([b"Kx9-part-with-more-than-16"])
    emitted, consumed = patterns.mask(b"> Kx\n")
    assert (emitted, consumed) == (b"> Kx\n", 5)
    assert patterns.mask(b"9-part-with\n-more-than-16!\n", before=b"> Kx\n") == (b"***!\n", 27)


def test_patterns_of_the_same_values_are_joined() -> None:
    old, new = ValueSet([b"the-first"]), ValueSet([b"the-first", b"the-second"])
    joined = Patterns(sets=[new]).plus(Patterns(sets=[old]))
    assert joined.sets == (new,)
    assert joined.mask(b"the-first the-second", final=True)[0] == b"*** ***"
