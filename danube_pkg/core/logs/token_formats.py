"""Formats of tokens that are masked although Danube does not know their values, and e-mail addresses.

The formats are those that their issuers publish so that secret scanners find them.
"""

import re
from typing import Annotated

from danube_pkg.core.logs.escapes import GROWING, MISMATCH
from danube_pkg.core.logs.secret_forms import ANCHOR_BYTES
from danube_pkg.kit.records import HIDDEN, Record

MAX_TOKEN_BYTES = 16 * 1024
"""A private key of 16 384 bits has 13 KB. Longer text is not held back for the end of a token."""


class TokenFormat(Record):
    """anchor: in normalised spelling (see `secret_forms`). head: how it begins. pattern: the whole token. partial: the
    head and what may follow; output that ends with it is held back. begins_line: only where a terminal begins a
    line."""

    anchor: bytes
    head: bytes
    pattern: Annotated[re.Pattern[bytes], HIDDEN]
    partial: Annotated[re.Pattern[bytes], HIDDEN]
    begins_line: bool = False

    compared_bytes = 0

    def match(self, output: bytes, at: int, *, final: bool, only_head: bool = False) -> tuple[int, int]:
        """As `secret_forms.Form.match`. A token begins where no word continues."""
        del only_head
        if self.begins_line:
            if not _LINE_START.search(output, max(0, at - _LINE_START_BYTES), at):
                return at, MISMATCH
        elif at and (output[at - 1 : at].isalnum() or output[at - 1] in b"_-"):
            return at, MISMATCH
        if not final and len(output) - at < MAX_TOKEN_BYTES:
            if self.head.startswith(output[at : at + len(self.head)]) and len(output) - at < len(self.head):
                return at, GROWING
            if self.partial.fullmatch(output, at):
                return at, GROWING
        found = self.pattern.match(output, at)
        return at, found.end() if found is not None else MISMATCH


def _token(prefix: str, rest: str, count: str, anchor: str = "") -> TokenFormat:
    """A prefix, then characters of a class, so many."""
    text = anchor or prefix.lower().replace("_", "/").replace("-", "+").replace("\\", "")
    return TokenFormat(
        text.encode()[:ANCHOR_BYTES],
        prefix.encode(),
        re.compile(f"(?:{prefix})[{rest}]{{{count}}}".encode()),
        re.compile(f"(?:{prefix})[{rest}]*".encode()),
    )


_WORD = "A-Za-z0-9_"
_KEY_NAME = rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_KEY_BODY = rb"(?:[A-Za-z0-9+/=\s:,\"'|>.]|-(?!-)|\\[nr])"
"""No two dashes: the next header ends it, so that output full of headers is not read again for each."""

_JWT = r"A-Za-z0-9_-"

TOKEN_FORMATS = (
    *(_token(f"{kind}", "A-Z0-9", "16") for kind in ("AKIA", "ASIA", "ABIA", "ACCA")),
    *(_token(f"gh{kind}_", "A-Za-z0-9", "30,255") for kind in "pousr"),
    _token("github_pat_", _WORD, "40,255"),
    *(_token(f"{kind}-", _WORD + "-", "20,255") for kind in ("glpat", "gldt", "glrt", "glsoat", "glptt", "glcbt")),
    *(_token(f"xox{kind}-", "A-Za-z0-9-", "10,255") for kind in "abeoprs"),
    _token("xapp-", "A-Za-z0-9-", "10,255"),
    *(_token(f"{kind}1_", _WORD + "-", "43") for kind in ("dt", "ds")),
    TokenFormat(
        b"eyj",
        b"eyJ",
        re.compile(f"eyJ[{_JWT}]{{8,}}\\.eyJ[{_JWT}]{{8,}}\\.[{_JWT}]{{16,}}".encode()),
        re.compile(f"eyJ[{_JWT}]*(?:\\.(?:e|ey|eyJ[{_JWT}]*)?(?:(?<=[{_JWT}])\\.[{_JWT}]*)?)?".encode()),
    ),
    TokenFormat(
        b"+++++begin",
        b"-----BEGIN ",
        re.compile(
            _KEY_NAME + rb"(?:" + _KEY_BODY + rb"*-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            rb"|(?:(?:\s|\\n)+[A-Za-z0-9+/=]{40,})+)"
        ),
        re.compile(
            rb"-----BEGIN [A-Z0-9 ]{0,40}-{0,5}|"
            + _KEY_NAME + _KEY_BODY + rb"*(?:\\|-{1,5}|-----(?:E|EN|END|END [A-Z0-9 ]{0,40}-{0,5}))?"
        ),
    ),
)  # fmt: skip
"""AWS, GitHub, GitLab, Slack, Danube (of users and sessions), JSON Web Tokens (RFC 7519), private keys (RFC 7468)."""

_LINE_START = re.compile(
    rb"(?:\A|[\r\n])(?:\x1b\[[0-9;:?]*[A-Za-z]|\x1b[()]?[A-Za-z0-9]|\xe2\x80[\x8b-\x8f]|\xef\xbb\xbf|[\0\b])*\Z"
)
_LINE_START_BYTES = 64


def _own_line(word: str) -> TokenFormat:
    return TokenFormat(
        f"+++{word}".replace(" ", "").encode()[:ANCHOR_BYTES],
        b"---",
        re.compile(rb"---(?=[ \t]+" + word.encode() + rb"\b)"),
        re.compile(rb"-{1,3}|---[ \t]+[a-z ]{0,%d}" % len(word)),
        begins_line=True,
    )


OWN_LINES = tuple(
    _own_line(word)
    for word in (
        "job",
        "step",
        "artifact",
        "source",
        "stopping",
        "egress",
        "pulling",
        "image",
        "waiting",
        "the log",
        "a secret",
    )
)
"""The beginnings of Danube's own lines (`services/jobs/log_lines.py`). In a step's output their dashes are masked: what
a program prints cannot be mistaken for them. Lines of diffs (`--- a/file`) are left alone."""

EMAIL = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![A-Za-z0-9-])")
"""An address as it is usual in logs; not all that RFC 5321 allows."""

EMAIL_BEGINNING = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}(?:@[A-Za-z0-9.-]{0,255})?\Z")


def emails(output: bytes) -> list[tuple[int, int]]:
    """(start, end) of each e-mail address."""
    return [found.span() for found in EMAIL.finditer(output)] if b"@" in output else []
