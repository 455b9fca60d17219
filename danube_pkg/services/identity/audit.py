"""The audit log: every write and every access to a secret, kept for good as a chain of hashes that can be checked."""

import asyncio
from collections.abc import Sequence

from danube_pkg.core.identity.audit import (
    AuditEntry,
    AuditEvent,
    AuditKeys,
    ChainCheck,
    ChainState,
)
from danube_pkg.core.identity.ports import AuditStore
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import replace

CHECK_ROWS = 1000
"""Rows that are read before other tasks get the event loop."""


class Audit:
    """Writes, lists and checks the audit log."""

    def __init__(self, store: AuditStore, clock: Clock, keys: AuditKeys) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys

    async def record(self, event: AuditEvent) -> None:
        """Append an event with the current time; on disk when this returns."""
        await self._store.append(replace(event, at=self._clock.now()))

    async def list(
        self, *, actor: str = "", action: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[AuditEntry]:
        """Entries, newest first. before: a sequence number."""
        return await self._store.list_entries(actor=actor, action=action, before=before, limit=limit)

    async def check(self) -> ChainState:
        """Whether every row that was ever written exists and is unchanged."""
        check, at = ChainCheck(self._keys), 0
        last = await self._store.last_sequence()
        while entries := await self._store.entries_after(at, CHECK_ROWS):
            check.feed(entries)
            at = entries[-1].sequence
            await asyncio.sleep(0)
        return check.finish(max(last, at))
