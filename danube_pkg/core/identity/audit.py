"""The audit log's chain of hashes: each entry's hash covers its content and the previous hash, with a key outside the
database.

A changed or removed row breaks the chain at its place. Rows that are missing at the end are detected by the sequence
number, which is never reused and has advanced further than the rows. The bytes that are hashed may never change: see
`chained`.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Annotated

from danube_pkg.kit.records import HIDDEN, Record, field, to_builtins

FIRST = b"\0" * 32
"""The previous hash of the first entry."""


class AuditEvent(Record):
    """Who did what to which target, when (Unix seconds), from which address, with which request.

    outcome: `done`, or the reference of the error that refused it.
    """

    at: float
    actor: str
    action: str
    target: str = ""
    outcome: str = "done"
    address: str = ""
    request_id: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


class AuditEntry(Record):
    """An event with its place in the chain. sequence: counts from 1."""

    sequence: int
    event: AuditEvent
    hash: Annotated[bytes, HIDDEN]


def chained(key: bytes, before: bytes, sequence: int, event: AuditEvent) -> bytes:
    """The hash of an entry: HMAC-SHA256 over the previous hash, the sequence number (8 bytes, big-endian) and the event
    as JSON with sorted keys and ASCII escapes, which the standard library writes. Stored chains depend on these
    bytes."""
    content = json.dumps(to_builtins(event), sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, before + sequence.to_bytes(8, "big") + content.encode(errors="replace"), hashlib.sha256)


class AuditKeys(Record):
    """The keys of a chain. former: those of before, oldest first, each with the last sequence number of its entries."""

    current: Annotated[bytes, HIDDEN]
    former: Annotated[tuple[tuple[int, bytes], ...], HIDDEN] = ()

    def of(self, sequence: int) -> bytes:
        """The key with which the entry of that number was chained."""
        return next((key for last, key in self.former if sequence <= last), self.current)


class ChainState(Record):
    """The result of a check. broken_at: the first sequence number that does not fit, 0 for a whole chain."""

    entries: int
    broken_at: int = 0

    @property
    def whole(self) -> bool:
        return self.broken_at == 0


class ChainCheck:
    """Checks a chain that is fed in order and in parts, so that a long audit log need not be in memory at once."""

    def __init__(self, keys: AuditKeys) -> None:
        self._keys = keys
        self._before = FIRST
        self._count = 0
        self._broken_at = 0

    def feed(self, entries: Iterable[AuditEntry]) -> None:
        for entry in entries:
            expected = chained(self._keys.of(entry.sequence), self._before, entry.sequence, entry.event)
            fits = entry.sequence == self._count + 1 and hmac.compare_digest(expected, entry.hash)
            if not fits and not self._broken_at:
                self._broken_at = self._count + 1
            self._before = entry.hash
            self._count = entry.sequence

    def finish(self, last_sequence: int) -> ChainState:
        """The result. last_sequence: the highest sequence number that was ever assigned."""
        broken = self._broken_at or (self._count + 1 if self._count != last_sequence else 0)
        return ChainState(self._count, broken)
