"""The audit's chain: each entry's hash covers its content and the hash before it, under a key that is not in the database.

A changed or removed row breaks the chain where it stood; one that is missing at the end shows because the sequence, which
never repeats a number, has gone further than the rows.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Annotated

from danube_pkg.kit.records import HIDDEN, Record, field, to_builtins

FIRST = b"\0" * 32
"""What stands before the first entry."""


class AuditEvent(Record):
    """Who did what to what, from where, when, by which request. `outcome`: done, or the refusal's reference."""

    at: float
    actor: str
    action: str
    target: str = ""
    outcome: str = "done"
    address: str = ""
    request_id: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


class AuditEntry(Record):
    """A happening in its place."""

    sequence: int
    event: AuditEvent
    hash: Annotated[bytes, HIDDEN]


def chained(key: bytes, before: bytes, sequence: int, event: AuditEvent) -> bytes:
    """The hash of an entry: HMAC-SHA256 over the one before, the number and the content as canonical JSON."""
    content = json.dumps(to_builtins(event), sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, before + sequence.to_bytes(8, "big") + content.encode(errors="replace"), hashlib.sha256)


class ChainState(Record):
    """What a check found. `broken_at`: the first sequence number that does not fit, 0 where all do."""

    entries: int
    broken_at: int = 0

    @property
    def whole(self) -> bool:
        return self.broken_at == 0


class ChainCheck:
    """Fed with all entries in order, piece by piece, so that a long audit does not have to be in memory at once."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._before = FIRST
        self._count = 0
        self._broken_at = 0

    def feed(self, entries: Iterable[AuditEntry]) -> None:
        for entry in entries:
            expected = chained(self._key, self._before, entry.sequence, entry.event)
            fits = entry.sequence == self._count + 1 and hmac.compare_digest(expected, entry.hash)
            if not fits and not self._broken_at:
                self._broken_at = self._count + 1
            self._before = entry.hash
            self._count = entry.sequence

    def finish(self, last_sequence: int) -> ChainState:
        """`last_sequence`: the highest number that was ever given out."""
        broken = self._broken_at or (self._count + 1 if self._count != last_sequence else 0)
        return ChainState(self._count, broken)
