"""The SQL of the applied configuration: its changes in one transaction, and the state that results from them."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from danube_pkg.adapters.store.database import Database
from danube_pkg.adapters.store.pipelines import write_pipeline
from danube_pkg.core.configuration.changes import Change, ObjectKind
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.people import MemberSpec
from danube_pkg.core.configuration.pipelines import PipelineSpec
from danube_pkg.core.configuration.state import Applied, PipelineDefinition, State, Team, User, pipeline_of
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.documents.records import (
    AnyRecord,
    marked,
    plain,
    read_record,
)
from danube_pkg.core.errors import SourceLocation
from danube_pkg.core.identity.access import TeamRole
from danube_pkg.kit.records import Record

NewId = Callable[[], str]


class SqliteConfiguration:
    """`core.configuration.ports.ConfigurationStore`."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._database = database
        self._new_id = new_id

    async def load_state(self) -> tuple[State, Applied]:
        read = self._database.read
        rows = read("SELECT * FROM configuration")
        applied = Applied(rows[0]["revision"], rows[0]["applied_at"]) if rows else Applied()
        config = rows[0]["config"] if rows else "{}"
        users = read("SELECT * FROM users WHERE configured AND removed_at IS NULL")
        teams = read("SELECT * FROM teams WHERE removed_at IS NULL")
        members = read(
            "SELECT team_id, email, role FROM team_members JOIN users ON users.id = user_id ORDER BY team_id, email"
        )
        pipelines = read("SELECT * FROM pipelines WHERE removed_at IS NULL AND definition <> ''")
        # Ten thousand definitions take a second to read.
        return await asyncio.to_thread(_state, config, users, teams, members, pipelines), applied

    async def apply_changes(self, changes: Sequence[Change], state: State, applied: Applied) -> None:
        now = applied.at or 0.0

        def work(connection: sqlite3.Connection) -> None:
            for change in changes:
                _WRITERS[change.kind](_Writer(connection, state, applied, self._new_id), change)
            # Lines and comments may change without a change of any definition.
            connection.executemany(
                "UPDATE pipelines SET file = ?, line = ?, text = ?, revision = ? WHERE name = ?",
                [
                    (one.place.file, one.place.line, one.text, applied.revision, one.name)
                    for one in state.pipelines.values()
                ],
            )
            connection.execute(
                "INSERT INTO configuration VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "revision = excluded.revision, applied_at = excluded.applied_at, config = excluded.config",
                (applied.revision, now, json.dumps(plain(state.config))),
            )

        await self._database.write(work)


class _Writer(Record):
    """The transaction in which changes are written. state: the result of all of them."""

    connection: sqlite3.Connection
    state: State
    applied: Applied
    new_id: NewId

    def write_settings(self, definition: PipelineDefinition) -> None:
        """The settings that the engine copies into each job: the pipeline's own, and the server's for all pipelines."""
        pipeline = pipeline_of(definition, self.state.config, self.new_id())
        write_pipeline(self.connection, pipeline, self.applied.revision, self.applied.at or 0.0)


def _write_config(writer: _Writer, change: Change) -> None:
    """Settings for all pipelines reach unchanged pipelines too; the config itself is written with every revision."""
    for definition in writer.state.pipelines.values():
        writer.write_settings(definition)


def _write_user(writer: _Writer, change: Change) -> None:
    connection, applied = writer.connection, writer.applied
    if change.after is None:
        # Logins and the account too: a user who is added again, perhaps another one with this address, logs in anew.
        for table in ("team_members", "sessions", "tokens", "identities"):
            connection.execute(
                f"DELETE FROM {table} WHERE user_id IN (SELECT id FROM users WHERE email = ?)", (change.key,)
            )
        connection.execute(
            "UPDATE users SET removed_at = ?, updated_at = ?, password_hash = '' WHERE email = ?",
            (applied.at, applied.at, change.key),
        )
        return
    user: User = change.after
    if change.before is not None and change.before.password_hash != user.password_hash:
        # A client that knew the former password is logged out; tokens, which scripts use, are revoked by choice.
        connection.execute(
            "DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE email = ?)", (user.email,)
        )
    connection.execute(
        """
        INSERT INTO users (id, email, name, password_hash, configured, created_at, updated_at) VALUES (?, ?, ?, ?, 1, ?, ?)
        ON CONFLICT (email) DO UPDATE SET name = excluded.name, password_hash = excluded.password_hash, configured = 1,
            updated_at = excluded.updated_at, removed_at = NULL
        """,
        (writer.new_id(), user.email, user.name, user.password_hash, applied.at, applied.at),
    )


def _write_team(writer: _Writer, change: Change) -> None:
    connection, applied = writer.connection, writer.applied
    if change.after is not None:
        team: Team = change.after
        connection.execute(
            """
            INSERT INTO teams (id, name, global_admin, groups, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET global_admin = excluded.global_admin, groups = excluded.groups,
                updated_at = excluded.updated_at, removed_at = NULL
            """,
            (writer.new_id(), team.name, team.global_admin, json.dumps(team.groups), applied.at, applied.at),
        )
    (team_id,) = connection.execute("SELECT id FROM teams WHERE name = ?", (change.key,)).fetchone()
    connection.execute("DELETE FROM team_members WHERE team_id = ?", (team_id,))
    if change.after is None:
        connection.execute("DELETE FROM pipeline_permissions WHERE team_id = ?", (team_id,))
        connection.execute(
            "UPDATE teams SET removed_at = ?, updated_at = ?, global_admin = 0 WHERE id = ?",
            (applied.at, applied.at, team_id),
        )
        return
    connection.executemany(
        "INSERT INTO team_members SELECT ?, id, ? FROM users WHERE email = ?",
        [(team_id, one.role, one.email) for one in change.after.members],
    )


def _write_pipeline(writer: _Writer, change: Change) -> None:
    connection, applied = writer.connection, writer.applied
    name = change.key
    connection.execute(
        "DELETE FROM pipeline_permissions WHERE pipeline_id IN (SELECT id FROM pipelines WHERE name = ?)", (name,)
    )
    if change.after is None:
        connection.execute(
            "UPDATE pipelines SET removed_at = ?, updated_at = ? WHERE name = ?", (applied.at, applied.at, name)
        )
        return
    definition: PipelineDefinition = change.after
    writer.write_settings(definition)
    connection.execute(
        "UPDATE pipelines SET definition = ?, team_id = (SELECT id FROM teams WHERE name = ?) WHERE name = ?",
        (json.dumps(_without_defaults(definition.spec)), definition.team, name),
    )
    connection.executemany(
        "INSERT INTO pipeline_permissions SELECT pipelines.id, teams.id, ? FROM pipelines, teams "
        "WHERE pipelines.name = ? AND teams.name = ?",
        [(one.level, name, one.team) for one in definition.spec.permissions],
    )


_WRITERS: Mapping[ObjectKind, Callable[[_Writer, Change], None]] = {
    ObjectKind.CONFIG: _write_config,
    ObjectKind.USER: _write_user,
    ObjectKind.TEAM: _write_team,
    ObjectKind.PIPELINE: _write_pipeline,
}


_DEFAULTS = plain(PipelineSpec(repository=""))


def _without_defaults(spec: PipelineSpec) -> dict[str, Any]:
    """Only the values that differ from defaults: shorter, and loaded in half of the time."""
    return {key: value for key, value in plain(spec).items() if value != _DEFAULTS[key]}


def _state(
    config: str,
    users: Sequence[sqlite3.Row],
    teams: Sequence[sqlite3.Row],
    members: Sequence[sqlite3.Row],
    pipelines: Sequence[sqlite3.Row],
) -> State:
    by_team: dict[str, list[MemberSpec]] = {}
    for row in members:
        by_team.setdefault(row["team_id"], []).append(MemberSpec(row["email"], TeamRole(row["role"])))
    return State(
        config=_stored(ConfigSpec, config) or ConfigSpec(),
        users={row["email"]: User(row["email"], row["name"], row["password_hash"]) for row in users},
        teams={
            row["name"]: Team(
                row["name"],
                tuple(by_team.get(row["id"], ())),
                bool(row["global_admin"]),
                tuple(json.loads(row["groups"])),
            )
            for row in teams
        },
        pipelines={
            row["name"]: PipelineDefinition(
                row["name"], row["team"], spec, SourceLocation(row["file"], row["line"]), row["text"]
            )
            for row in pipelines
            if (spec := _stored(PipelineSpec, row["definition"])) is not None
        },
    )


def _stored(kind: type[AnyRecord], text: str) -> AnyRecord | None:
    """A stored record; None for one that is damaged, or of an older schema and not valid any more: the next sync writes
    it again."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return read_record(kind, marked(document, SourceLocation("database")), Findings())
