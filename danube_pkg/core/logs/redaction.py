"""Masking secrets in a stream of bytes: every form of every value, across the borders of chunks and lines.

`Patterns.mask` is pure: from the raw bytes that are not yet emitted it returns what may be emitted now, and how many
raw bytes that covers. It holds back bytes only from the leftmost offset at which a match could still grow; overlapping
matches become one MASK. So the caller's state is one buffer, and a restart at the first byte that was not emitted gives
the same output. A `ValueSet` is compiled once and shared by all logs that must mask the same values.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from danube_pkg.core.logs.escapes import GROWING, MISMATCH
from danube_pkg.core.logs.finders import FinderMaker, best_finder
from danube_pkg.core.logs.secret_forms import ANCHOR_BYTES, DROPPED, Form, anchored, normalised
from danube_pkg.core.logs.token_formats import EMAIL_BEGINNING, TokenFormat, emails

MASK = b"***"

MAX_HELD_BYTES = 64 * 1024
"""What is held back beyond the longest form is masked in parts, since it is searched again with each chunk. Output that
is dense with candidates is not compared with values, so there it is the whole bound."""

BEFORE_BYTES = 96
"""Emitted bytes that `Patterns.mask` wants before the raw ones: a value whose first characters ended an emitted line is
found by them. Enough for the rest of a row of a dump."""

HELD_BROKEN_CHARACTERS = 4
"""A line end is held back only behind so many characters of a value: else every line of a log would come late."""

DENSE_BYTES = 16
"""With more than one candidate in so many bytes (and DENSE_CANDIDATES), candidates are masked without comparing them:
the secret may be 64 KB of one character, and the output too."""

DENSE_CANDIDATES = 1000

MAX_COMPARED_BYTES = 1024**2
"""Bytes of long values that are compared in one call; the rest of the chunk is masked as a whole. It takes a value of
kilobytes that repeats itself to come so far."""

QUICK_CANDIDATES = 64
"""So many beginnings of values and tokens take 2 ms to compare; usual output has fewer in a chunk."""

QUICK_BYTES = 48 * 1024
"""Longer output with a candidate in it may have to be compared with a value of its length, which takes 200 ms."""

SEARCHED_BYTES = 32 * 1024
"""Output that is searched before it is decided whether the rest takes long."""

MAX_EXPANSION = 12
"""Bytes of output for one byte of a value, with folds."""


class ValueSet:
    """The compiled forms of some values and token formats; immutable, so that threads can share it.

    Compiling takes up to 20 ms for the largest value (64 KiB): not on an event loop.
    """

    def __init__(
        self, values: Iterable[bytes], formats: Sequence[TokenFormat] = (), *, finder: FinderMaker | None = None
    ) -> None:
        self.values = frozenset(values)
        forms, self.exact = anchored(sorted(self.values))
        found: dict[bytes, list[Form | TokenFormat]] = {anchor: [*some] for anchor, some in forms.items()}
        for one in formats:
            found.setdefault(one.anchor, []).append(one)
        self.anchors = sorted(found)
        self.beginnings = frozenset(anchor[:size] for anchor in self.anchors for size in (1, 2))
        self._forms = [found[anchor] for anchor in self.anchors]
        self._find = (finder or best_finder())(self.anchors) if self.anchors else None
        self.longest_bytes = max(map(len, self.values), default=0) * MAX_EXPANSION

    def find(self, normal: bytes) -> Sequence[tuple[int, int, int]]:
        """(number of the anchor, start, end) of each anchor in normalised output."""
        return self._find(normal) if self._find is not None else ()

    def forms(self, anchor: int) -> Sequence[Form | TokenFormat]:
        """The forms that begin with an anchor."""
        return self._forms[anchor]

    def beginning_with(self, normal: bytes) -> Iterable[Form | TokenFormat]:
        """The forms whose anchor begins with this text and is longer."""
        at = bisect_left(self.anchors, normal)
        while at < len(self.anchors) and self.anchors[at].startswith(normal):
            yield from self._forms[at]
            at += 1

    def begins(self, normal: bytes) -> bool:
        """Whether an anchor begins with this text."""
        at = bisect_left(self.anchors, normal)
        return at < len(self.anchors) and self.anchors[at].startswith(normal)


class TakesLong(Exception):
    """Output that takes long to mask, which an event loop must not wait for."""


class Patterns:
    """What one log masks: some sets of values. `mask` keeps no state."""

    def __init__(
        self,
        values: Iterable[bytes] = (),
        *,
        sets: Iterable[ValueSet] = (),
        mask_emails: bool = False,
        finder: FinderMaker | None = None,
    ) -> None:
        own = frozenset(values)
        self.sets: tuple[ValueSet, ...] = (*sets, *((ValueSet(own, finder=finder),) if own else ()))
        self._mask_emails = mask_emails
        self._exact = [form for one in self.sets for form in one.exact]
        self._longest = max((one.longest_bytes for one in self.sets), default=0) + ANCHOR_BYTES
        self._is_empty = not mask_emails and not any(one.anchors or one.exact for one in self.sets)
        self._begins = frozenset[bytes]().union(*(one.beginnings for one in self.sets))

    def plus(self, other: "Patterns") -> "Patterns":
        """Both; a set whose values another one has too is left out."""
        every = list(dict.fromkeys((*self.sets, *other.sets)))
        sets = [one for one in every if not (one.values and any(one.values < more.values for more in every))]
        return Patterns(sets=sets, mask_emails=self._mask_emails or other._mask_emails)

    def mask(self, raw: bytes, *, final: bool = False, before: bytes = b"", quick: bool = False) -> tuple[bytes, int]:
        """(the masked bytes that may be emitted, how many raw bytes they cover). final: hold nothing back, since no
        bytes follow. before: up to BEFORE_BYTES raw bytes that were emitted last. quick: raise TakesLong in place of
        work of more than some milliseconds. Nothing is shared but what is immutable, so threads may call it."""
        if self._is_empty or not raw:
            return raw, len(raw)
        data, skipped = (before + raw, len(before)) if before else (raw, 0)
        normal = normalised(data)
        found = self._found(normal, len(data), quick)
        hits = sum(map(len, found))
        is_dense = hits > max(DENSE_CANDIDATES, len(data) // DENSE_BYTES)
        matches, hold = self._matches(data, found, is_dense, final)
        hold = len(data) if final else min(hold, self._beginning(data, normal))
        most = MAX_HELD_BYTES if is_dense else MAX_HELD_BYTES + self._longest
        united = unions([(max(start, skipped), end) for start, end in matches if end > skipped])
        growing = hold = max(hold, skipped)
        for start, end in reversed(united):
            if end <= hold:
                break
            hold = min(hold, start)
        if len(data) - hold > most:
            hold = growing
        if len(data) - hold > most:
            united, hold = unions([*united, (hold, len(data))]), len(data)
        return with_masks(data, united, hold, skipped), hold - skipped

    def _found(self, normal: bytes, size: int, quick: bool) -> Sequence[Sequence[tuple[int, int, int]]]:
        """What each set finds in normalised output. size: of the output. quick: as in `mask`; a search that finds much
        takes long itself."""
        if not quick:
            return [one.find(normal) for one in self.sets]
        found: list[list[tuple[int, int, int]]] = [[] for _ in self.sets]
        hits = 0
        for begin in range(0, len(normal), SEARCHED_BYTES):
            piece = normal[begin : begin + SEARCHED_BYTES + ANCHOR_BYTES - 1]
            for one, some in zip(self.sets, found, strict=True):
                if new := one.find(piece):
                    some += [(at, begin + start, begin + end) for at, start, end in new if start < SEARCHED_BYTES]
                    hits += len(new)
            if hits > QUICK_CANDIDATES or (hits and size > QUICK_BYTES):
                raise TakesLong
        return found

    def _matches(
        self, data: bytes, found: Sequence[Sequence[tuple[int, int, int]]], is_dense: bool, final: bool
    ) -> tuple[list[tuple[int, int]], int]:
        """(all matches, the leftmost offset from which a candidate may still grow). found: of each set."""
        matches: list[tuple[int, int]] = []
        hold = len(data)
        if is_dense:
            matches = _in_output(data, unions([hit[1:] for hits in found for hit in hits]))
        else:
            for one, hits in ((one, hits) for one, hits in zip(self.sets, found, strict=True) if hits):
                some, growing = _compared(data, _candidates(data, one, hits), final)
                matches += some
                hold = min(hold, growing)
        for form in self._exact:
            matches += _all_of(form.value, data)
        if self._mask_emails:
            matches += emails(data)
        return matches, hold

    def _beginning(self, data: bytes, normal: bytes) -> int:
        """The leftmost offset from which the output may be the beginning of a form, shorter than its anchor."""
        hold = self._other_beginning(data)
        for at in range(max(0, len(normal) - ANCHOR_BYTES + 1), len(normal)):
            if normal[at : at + 2] not in self._begins:  # as nearly always; the search in all anchors costs much more
                continue
            tail, size = normal[at:], len(normal) - at
            some = [one for one in self.sets if one.begins(tail)]
            if not some:
                continue
            first = offset_from_end(data, size)
            if size < HELD_BROKEN_CHARACTERS and (data.find(b"\n", first) >= 0 or data.find(b"\r", first) >= 0):
                continue
            for form in (form for one in some for form in one.beginning_with(tail)):
                start, end = form.match(data, first, final=False, only_head=True)
                if end == GROWING or (end >= 0 and end == len(data)):
                    return min(hold, start)
        return hold

    def _other_beginning(self, data: bytes) -> int:
        hold = len(data)
        for form in self._exact:
            for size in range(min(len(form.value) - 1, len(data)), 0, -1):
                if data.endswith(form.value[:size]):
                    hold = min(hold, len(data) - size)
                    break
        if self._mask_emails and (found := EMAIL_BEGINNING.search(data, max(0, len(data) - 320))):
            hold = min(hold, found.start())
        return hold


NO_PATTERNS = Patterns()


def _compared(
    data: bytes, candidates: Iterable[tuple[int, Form | TokenFormat]], final: bool
) -> tuple[list[tuple[int, int]], int]:
    """(the candidates that are matches, the leftmost offset from which one may still grow)."""
    matches: list[tuple[int, int]] = []
    hold, work = len(data), 0
    for at, form in candidates:
        if work > MAX_COMPARED_BYTES:
            return [*matches, (at, len(data))], hold
        start, end = form.match(data, at, final=final)
        if end >= 0:
            matches.append((start, end))
        elif end == GROWING and not final:
            hold = min(hold, start)
        if end != MISMATCH:
            work += form.compared_bytes
    return matches, hold


def _candidates(
    data: bytes, some: ValueSet, hits: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[int, Form | TokenFormat]]:
    """(offset in the output, form) of each form whose anchor was found in normalised output."""
    hits = sorted(hits, key=lambda hit: hit[1])
    for at, (anchor, _, _) in zip(raw_offsets(data, [hit[1] for hit in hits]), hits, strict=True):
        for form in some.forms(anchor):
            yield at, form


def raw_offsets(data: bytes, wanted: Sequence[int]) -> list[int]:
    """The offsets of characters in output, given their offsets in normalised output, in order."""
    found: list[int] = []
    raw = normal = 0
    for target in wanted:
        while True:
            raw = _behind_dropped(data, raw)
            missing = target - normal
            if missing == 0:
                break
            piece = data[raw : raw + missing]
            normal += len(piece) - sum(map(piece.count, _DROPPED_EACH))
            raw += len(piece)
        found.append(raw)
    return found


def _in_output(data: bytes, joined: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of normalised output as ranges of the output."""
    offsets = raw_offsets(data, [at for start, end in joined for at in (start, end - 1)])
    return [(first, last + 1) for first, last in zip(offsets[::2], offsets[1::2], strict=True)]


_DROPPED_EACH = tuple(bytes([byte]) for byte in DROPPED)


def _behind_dropped(data: bytes, at: int) -> int:
    """The offset of the first character that normalised output has, from an offset on."""
    size = 16
    while at < len(data) and data[at] in DROPPED:
        piece = data[at : at + size]
        rest = piece.lstrip(DROPPED)
        at += len(piece) - len(rest)
        size *= 2
    return at


def offset_from_end(data: bytes, count: int) -> int:
    """The offset of the character with which the last so many normalised ones begin."""
    at = len(data)
    while count:
        at = len(data[:at].rstrip(DROPPED)) if at < 4096 else at - 4096 + len(data[at - 4096 : at].rstrip(DROPPED))
        if at and data[at - 1] not in DROPPED:
            at, count = at - 1, count - 1
    return at


def _all_of(value: bytes, data: bytes) -> list[tuple[int, int]]:
    found = []
    at = data.find(value)
    while at >= 0:
        found.append((at, at + len(value)))
        at = data.find(value, at + 1)
    return found


def unions(matches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping matches joined. Adjacent matches stay apart, so that the output does not depend on the chunks."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(matches):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def with_masks(raw: bytes, united: Sequence[tuple[int, int]], hold: int, begin: int = 0) -> bytes:
    """The bytes from `begin` to `hold`, with a mask for each union that begins there."""
    if not united or united[0][0] >= hold:
        return raw[begin:hold] if begin or hold < len(raw) else raw
    parts, at = [], begin
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
