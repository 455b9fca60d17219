"""The SQL of permissions: users with teams, pipelines with levels. The configuration sync writes these tables."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.errors import Conflict
from danube_pkg.core.identity.access import Level, Target, TeamRole
from danube_pkg.core.identity.people import Person

_PEOPLE = "SELECT users.*, issuer, subject FROM users LEFT JOIN identities ON identities.user_id = users.id"
_READABLE = """
SELECT name FROM pipelines WHERE team IN (SELECT value FROM json_each(?1))
UNION
SELECT pipelines.name FROM pipelines JOIN pipeline_permissions ON pipeline_id = pipelines.id
JOIN teams ON teams.id = pipeline_permissions.team_id WHERE teams.name IN (SELECT value FROM json_each(?1))
"""
_LEVELS = """
SELECT DISTINCT team, 'admin' FROM pipelines WHERE team IN (SELECT value FROM json_each(?1)) AND removed_at IS NULL
UNION
SELECT DISTINCT teams.name, level FROM pipeline_permissions JOIN teams ON teams.id = pipeline_permissions.team_id
WHERE teams.name IN (SELECT value FROM json_each(?1))
"""


class SqliteAccess:
    """`core.identity.ports.AccessStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        return self._database.version()

    async def person_by_id(self, user_id: str) -> Person | None:
        return self._person("id = ?", user_id)

    async def person_by_email(self, email: str) -> Person | None:
        return self._person("email = ? COLLATE NOCASE AND removed_at IS NULL", email)

    async def person_by_identity(self, issuer: str, subject: str) -> Person | None:
        rows = self._database.read(f"{_PEOPLE} WHERE issuer = ? AND subject = ?", issuer, subject)
        return _person(rows[0]) if rows else None

    def _person(self, condition: str, value: str) -> Person | None:
        rows = self._database.read(f"{_PEOPLE} WHERE {condition}", value)
        return _person(rows[0]) if rows else None

    async def list_people(self) -> Sequence[Person]:
        return [_person(row) for row in self._database.read(f"{_PEOPLE} ORDER BY email")]

    async def bind_identity(self, user_id: str, issuer: str, subject: str, at: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            bound = connection.execute(
                "SELECT issuer, subject FROM identities WHERE user_id = ?", (user_id,)
            ).fetchone()
            if bound is not None and bound["issuer"] == issuer and bound["subject"] != subject:
                raise Conflict(
                    "subject-bound",
                    "this address belongs to another account of the issuer",
                    cause="the first login binds an address to one account; it does not follow the address to another",
                    hint="if both accounts are the same user's, an administrator runs: danube users unbind NAME",
                )
            # The account may still be bound to a user who was removed, and added again under another address.
            connection.execute("DELETE FROM identities WHERE issuer = ? AND subject = ?", (issuer, subject))
            connection.execute("INSERT OR REPLACE INTO identities VALUES (?, ?, ?, ?)", (user_id, issuer, subject, at))

        await self._database.write(work)

    async def unbind_identity(self, user_id: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM identities WHERE user_id = ?", (user_id,)).rowcount > 0

        return bool(await self._database.write(work))

    async def memberships(self, user_id: str) -> Mapping[str, tuple[TeamRole, bool]]:
        rows = self._database.read(
            "SELECT teams.name, role, global_admin FROM team_members JOIN teams ON teams.id = team_id "
            "WHERE user_id = ? AND teams.removed_at IS NULL",
            user_id,
        )
        return {row["name"]: (TeamRole(row["role"]), bool(row["global_admin"])) for row in rows}

    async def teams(self) -> Mapping[str, tuple[bool, Mapping[str, TeamRole]]]:
        rows = self._database.read(
            "SELECT teams.name, global_admin, users.email, role FROM teams LEFT JOIN team_members ON teams.id = team_id "
            "LEFT JOIN users ON users.id = user_id AND users.removed_at IS NULL "
            "WHERE teams.removed_at IS NULL ORDER BY teams.name, users.email"
        )
        teams: dict[str, tuple[bool, dict[str, TeamRole]]] = {}
        for row in rows:
            _, members = teams.setdefault(row["name"], (bool(row["global_admin"]), {}))
            if row["email"] is not None:
                members[row["email"]] = TeamRole(row["role"])
        return teams

    async def groups_of_teams(self) -> Mapping[str, tuple[str, ...]]:
        rows = self._database.read("SELECT name, groups FROM teams WHERE removed_at IS NULL AND groups <> '[]'")
        return {row["name"]: tuple(json.loads(row["groups"])) for row in rows}

    async def target(self, pipeline: str) -> Target:
        owner = self._database.read("SELECT team FROM pipelines WHERE name = ?", pipeline)
        rows = self._database.read(
            "SELECT teams.name, level FROM pipeline_permissions JOIN pipelines ON pipelines.id = pipeline_id "
            "JOIN teams ON teams.id = pipeline_permissions.team_id WHERE pipelines.name = ? AND teams.removed_at IS NULL",
            pipeline,
        )
        levels = {row["name"]: Level(row["level"]) for row in rows}
        return Target(pipeline, owner[0]["team"] if owner else "", levels)

    async def readable_pipelines(self, teams: Sequence[str]) -> frozenset[str]:
        rows = self._database.read(_READABLE, json.dumps(list(teams)))
        return frozenset(row["name"] for row in rows)

    async def levels_of(self, teams: Sequence[str]) -> Sequence[tuple[str, Level]]:
        return [(name, Level(level)) for name, level in self._database.read(_LEVELS, json.dumps(list(teams)))]


def _person(row: sqlite3.Row) -> Person:
    return Person(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        password_hash=row["password_hash"],
        issuer=row["issuer"] or "",
        subject=row["subject"] or "",
        removed=row["removed_at"] is not None,
    )
