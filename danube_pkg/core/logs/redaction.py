"""Masking secrets in a stream of bytes: every form of every value, across the borders of chunks and lines.

`Patterns.mask` is pure: from the raw bytes that are not yet emitted it returns what may be emitted now, and how many
raw bytes that covers. It holds back bytes only from the leftmost offset at which a match could still grow; overlapping
matches become one MASK. So the caller's state is one buffer, and a restart at the first byte that was not emitted gives
the same output.
"""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote_from_bytes

from danube_pkg.core.secrets.secret import MIN_VALUE_BYTES

MASK = b"***"

MIN_LINE_BYTES = 8
"""Lines of a multi-line value that are at least this long are also masked alone; shorter ones occur in logs by
chance."""

MAX_HELD_BYTES = 64 * 1024
"""A union of matches that is longer than this is masked in parts. The bytes that are held back are searched again with
each chunk: a job with the secret `0000` that prints a file of zeros must not block the server."""

Finder = Callable[[bytes], Sequence[tuple[int, int]]]
"""bytes → (start, end) of every match, overlapping ones included."""


def forms_of(value: bytes) -> set[bytes]:
    """Every form in which a value is masked: itself, its long lines, base64, hexadecimal, URL-encoded, JSON-encoded."""
    plain = {value, value.strip(), value.replace(b"\r\n", b"\n"), value.replace(b"\n", b"\r\n")}
    plain |= {line.strip() for line in value.splitlines() if len(line.strip()) >= MIN_LINE_BYTES}
    forms = set(plain)
    for one in plain:
        forms |= (
            _base64_forms(one) | {one.hex().encode(), one.hex().upper().encode()} | _url_forms(one) | _json_forms(one)
        )
    return {form for form in forms if len(form) >= MIN_VALUE_BYTES}


def _base64_forms(value: bytes) -> set[bytes]:
    """The characters that the value alone determines, in each of the three alignments, both alphabets."""
    found = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + value)
        certain = text[(0, 2, 3)[before] : (before + len(value)) * 8 // 6]
        found |= {certain, certain.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def _url_forms(value: bytes) -> set[bytes]:
    found = set()
    for safe in ("", "/"):
        text = quote_from_bytes(value, safe=safe)
        for one in (text, text.replace("%20", "+")):
            found |= {one.encode(), _lower_escapes(one).encode()}
    return found


def _lower_escapes(text: str) -> str:
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _json_forms(value: bytes) -> set[bytes]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return set()
    return {json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)}


class Patterns:
    """The forms of a set of values. Creating it takes time; `mask` keeps no state."""

    def __init__(self, values: Iterable[bytes], *, finder: Callable[[Sequence[bytes]], Finder] | None = None) -> None:
        forms: set[bytes] = set()
        for value in values:
            forms |= forms_of(value)
        self._forms = sorted(forms)
        self._longest = max(map(len, self._forms), default=0)
        self._heads: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            self._heads.setdefault(form[:MIN_VALUE_BYTES], []).append(form)
        self._beginnings = {form[:size] for form in self._forms for size in range(1, MIN_VALUE_BYTES)}
        make = finder or best_finder()
        self._find = make(self._forms)
        self._find_heads = make(sorted(self._heads))

    def mask(self, raw: bytes, *, final: bool = False) -> tuple[bytes, int]:
        """(the masked bytes that may be emitted, how many raw bytes they cover). final: hold nothing back, since no
        bytes follow."""
        if not self._forms or not raw:
            return raw, len(raw)
        united = unions(self._find(raw))
        hold = len(raw) if final else self._growing_from(raw)
        for start, end in reversed(united):
            if end <= hold:
                break
            hold = min(hold, start)
        if len(raw) - hold > MAX_HELD_BYTES + self._longest:
            hold = len(raw) if final else max(hold, self._growing_from(raw))
        return with_masks(raw, united, hold), hold

    def _growing_from(self, raw: bytes) -> int:
        """The leftmost offset from which all remaining bytes are the beginning of a longer form."""
        offset = max(0, len(raw) - self._longest + 1)
        window = raw[offset:]
        for start, _ in sorted(self._find_heads(window)):
            rest = window[start:]
            if any(len(form) > len(rest) and form.startswith(rest) for form in self._heads[rest[:MIN_VALUE_BYTES]]):
                return offset + start
        for size in range(min(MIN_VALUE_BYTES - 1, len(raw)), 0, -1):
            if raw[-size:] in self._beginnings:
                return len(raw) - size
        return len(raw)


def unions(matches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping matches joined. Adjacent matches stay apart, so that the output does not depend on the chunks."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(matches):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def with_masks(raw: bytes, united: Sequence[tuple[int, int]], hold: int) -> bytes:
    """The bytes before `hold`, with a mask for each union that begins there."""
    if not united or united[0][0] >= hold:
        return raw[:hold] if hold < len(raw) else raw
    parts, at = [], 0
    for start, end in united:
        if start >= hold:
            break
        parts += [raw[at:start], MASK]
        at = min(end, hold)
    return b"".join([*parts, raw[at:hold]])


def redact_text(patterns: Patterns, text: str) -> str:
    """A whole text with secrets masked."""
    masked, _ = patterns.mask(text.encode(errors="surrogateescape"), final=True)
    return masked.decode(errors="replace")


def plain_finder(forms: Sequence[bytes]) -> Finder:
    """A finder without the library: slower, with the same results."""

    def find(raw: bytes) -> Sequence[tuple[int, int]]:
        found = []
        for form in forms:
            at = raw.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = raw.find(form, at + 1)
        return found

    return find


def automaton_finder(forms: Sequence[bytes]) -> Finder:
    """A finder by the Aho-Corasick algorithm: one pass, 4 490 MB/s against 76 with `re`."""
    from ahocorasick_rs import BytesAhoCorasick  # may be missing: see best_finder

    automaton = BytesAhoCorasick(forms)

    def find(raw: bytes) -> Sequence[tuple[int, int]]:
        return [(start, end) for _, start, end in automaton.find_matches_as_indexes(raw, overlapping=True)]

    return find if forms else lambda raw: []


def best_finder() -> Callable[[Sequence[bytes]], Finder]:
    """The finder of the library where it is installed, else the plain one."""
    try:
        import ahocorasick_rs  # noqa: F401 - only whether it is installed
    except ImportError:
        return plain_finder
    return automaton_finder
