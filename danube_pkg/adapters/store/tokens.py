"""The SQL of API tokens. Their secrets are stored as hashes only."""

import json
import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.errors import Conflict
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.identity.people import MAX_TOKENS, Token


class SqliteTokens:
    """`core.identity.ports.TokenStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_token(self, token: Token, hash_: bytes) -> None:
        def work(connection: sqlite3.Connection) -> None:
            (count,) = connection.execute("SELECT count(*) FROM tokens WHERE user_id = ?", (token.user_id,)).fetchone()
            if count >= MAX_TOKENS:
                raise Conflict(
                    "too-many-tokens",
                    f"you already have {MAX_TOKENS} tokens",
                    hint="revoke some: danube token list; danube token revoke ID",
                )
            connection.execute(
                "INSERT INTO tokens (id, secret_hash, user_id, name, scopes, groups, created_at, expires_at, issuer) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    token.id,
                    hash_,
                    token.user_id,
                    token.name,
                    json.dumps(sorted(token.scopes)),
                    json.dumps(token.groups),
                    token.created_at,
                    token.expires_at,
                    token.issuer,
                ),
            )

        await self._database.write(work)

    async def token_by_hash(self, hash_: bytes) -> Token | None:
        rows = self._database.read("SELECT * FROM tokens WHERE secret_hash = ?", hash_)
        return _token(rows[0]) if rows else None

    async def list_tokens(self, user_id: str) -> Sequence[Token]:
        rows = self._database.read("SELECT * FROM tokens WHERE user_id = ? ORDER BY created_at DESC", user_id)
        return [_token(row) for row in rows]

    async def touch_token(self, token_id: str, at: float, address: str) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute("UPDATE tokens SET used_at = ?, used_from = ? WHERE id = ?", (at, address, token_id))
                and None
            )
        )

    async def delete_token(self, user_id: str, token_id: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            return (
                connection.execute("DELETE FROM tokens WHERE user_id = ? AND id = ?", (user_id, token_id)).rowcount > 0
            )

        return bool(await self._database.write(work))

    async def delete_tokens(self, user_id: str) -> int:
        def work(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM tokens WHERE user_id = ?", (user_id,)).rowcount

        return int(await self._database.write(work))


def _token(row: sqlite3.Row) -> Token:
    return Token(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        scopes=frozenset(map(Scope, json.loads(row["scopes"]))),
        groups=tuple(json.loads(row["groups"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        used_from=row["used_from"],
        issuer=row["issuer"],
    )
