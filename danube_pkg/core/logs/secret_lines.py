"""Which lines of a secret of several lines are secret alone: the body of a PEM, values behind a key, long text.

A kubeconfig or a JSON document is mostly keys, braces and words that any log may contain. Masking those would shred the
log and hide nothing.
"""

import re
from collections.abc import Iterator

from danube_pkg.kit.records import Record

MIN_LINE_BYTES = 16
"""A shorter line occurs in logs by chance."""

MIN_NAMED_BYTES = 8
"""From this length on a value is masked alone if its key says that it is secret."""

_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----\s*(.*?)\s*(?:-----END |\Z)", re.DOTALL)
_PAIR = re.compile(
    rb"""(?:export\s+|-\s+)?["']?([A-Za-z_][\w. /-]{0,80}?)["']?\s*(?:[:=]|=>)\s*(["']?)(\S.*?|)\2\s*[,;]?\s*"""
)
_SECRET_KEY = re.compile(rb"pass|pwd|secret|token|key|auth|cred|private|cert.*data", re.IGNORECASE)
_STRUCTURE = re.compile(rb"[\s\[\]{}(),;:\"'|>-]*")
_COMMENT = re.compile(rb"(?:#|//|;|--)")
_WORD = re.compile(rb"[A-Za-z]+(?:[-_. /:@][A-Za-z]+)*|-?[0-9.]+")
"""Words and numbers: `kubernetes-admin@kubernetes`."""

_URL = re.compile(rb"[a-z][a-z0-9+.-]*://[^@]*")


class SecretLine(Record):
    """Text that is masked alone. whole_word: only where no word continues before or behind it."""

    text: bytes
    whole_word: bool


def secret_lines(value: bytes) -> Iterator[SecretLine]:
    """The parts of a value of several lines that are masked alone."""
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    if len(lines) < 2:
        return
    bodies: set[bytes] = set()
    for body in _PEM.finditer(value):
        bodies.update(body.group(1).split())
        text = b"".join(body.group(1).split())
        if len(text) >= MIN_LINE_BYTES:
            yield SecretLine(text, whole_word=False)
    for line in lines:
        if len(line) >= MIN_LINE_BYTES and line in bodies:
            yield SecretLine(line, whole_word=False)
        elif part := _secret_part(line):
            yield SecretLine(part, whole_word=True)


def _secret_part(line: bytes) -> bytes:
    """What of a line is secret: the value of a pair, a whole line of text, or nothing."""
    if line.startswith(b"-----") or _COMMENT.match(line):
        return b""
    pair = _PAIR.fullmatch(line) if b":" in line or b"=" in line else None
    if pair is None:
        text = line.strip(b"\"',; ")
        is_name = b" " not in text and _is_ordinary(text)
        return text if len(text) >= MIN_LINE_BYTES and not is_name and not _STRUCTURE.fullmatch(text) else b""
    key, text = pair.group(1), pair.group(3)
    if _SECRET_KEY.search(key) and len(text) >= MIN_NAMED_BYTES and not _STRUCTURE.fullmatch(text):
        return text
    return text if len(text) >= MIN_LINE_BYTES and not _is_ordinary(text) and b" " not in text else b""


def _is_ordinary(text: bytes) -> bool:
    """Words, numbers, brackets and addresses without a login."""
    return any(one.fullmatch(text) for one in (_STRUCTURE, _WORD, _URL))
