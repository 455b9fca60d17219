"""The SQL of the webhooks that the server made at forges."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.managed_hooks import ManagedHook


class SqliteHooks:
    """`core.triggers.managed_hooks.HookStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hook_of(self, repository: str) -> ManagedHook | None:
        return _first(self._database.read("SELECT * FROM managed_hooks WHERE repository = ?", repository))

    async def hook_with(self, marker: str) -> ManagedHook | None:
        return _first(self._database.read("SELECT * FROM managed_hooks WHERE marker = ?", marker))

    async def put_hook(self, hook: ManagedHook) -> None:
        values = (
            hook.repository,
            hook.forge,
            hook.marker,
            hook.secret_encrypted,
            hook.url,
            hook.hook_id,
            hook.repository_id,
        )
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO managed_hooks "
                "(repository, forge, marker, secret_encrypted, url, hook_id, repository_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        )


def hook_of_row(row: sqlite3.Row) -> ManagedHook:
    """The webhook of a row."""
    values = dict(row)
    return ManagedHook(**{**values, "forge": Forge(values["forge"])})


def _first(rows: Sequence[sqlite3.Row]) -> ManagedHook | None:
    return hook_of_row(rows[0]) if rows else None
