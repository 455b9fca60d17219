"""The applied configuration in a real database: the desired state, stable ids, removed objects that are marked."""

import itertools
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danube_pkg.adapters.store import (
    Database,
    SqliteAccess,
    SqliteConfiguration,
    SqlitePipelines,
    SqliteSessions,
    SqliteTokens,
)
from danube_pkg.core.configuration.changes import diff
from danube_pkg.core.configuration.people import MemberSpec
from danube_pkg.core.configuration.pipelines import PermissionSpec, PipelineSpec
from danube_pkg.core.configuration.ports import ConfigurationStore
from danube_pkg.core.configuration.state import Applied, PipelineDefinition, State, Team, User
from danube_pkg.core.errors import SourceLocation
from danube_pkg.core.identity.access import Level, Scope
from danube_pkg.core.identity.people import BrowserSession, Token
from danube_pkg.kit.records import replace
from tests.core.configuration.states import states
from tests.support.databases import open_new_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_new_database(tmp_path / "danube.db")
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> SqliteConfiguration:
    return opened(database)


def opened(database: Database) -> SqliteConfiguration:
    numbers = itertools.count(1)
    return SqliteConfiguration(database, lambda: f"id{next(numbers):05}")


async def apply(store: SqliteConfiguration, desired: State, revision: str = "r1") -> None:
    actual, _ = await store.load_state()
    await store.apply_changes(diff(desired, actual), desired, Applied(revision, 1000.0))


@given(following=st.lists(states(), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_the_database_holds_exactly_the_state_that_was_applied_last(following: list[State]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = open_new_database(Path(directory) / "danube.db")
        try:
            store = opened(database)
            for number, desired in enumerate(following):
                await apply(store, desired, f"r{number}")
                actual, applied = await opened(database).load_state()
                assert actual == desired
                assert applied == Applied(f"r{number}", 1000.0)
        finally:
            await database.close()


ALICE = MemberSpec("alice@example.com")
APP = PipelineDefinition(
    "app",
    "owners",
    PipelineSpec(repository="/app", permissions=(PermissionSpec("readers", Level.READ),)),
    SourceLocation("pipelines/app.yaml", 7),
)
FULL = State(
    users={ALICE.email: User(ALICE.email, "alice", "$2b$10$hash")},
    teams={"owners": Team("owners", (ALICE,)), "readers": Team("readers", (ALICE,), global_admin=True)},
    pipelines={"app": APP},
)


def rows(database: Database, table: str) -> list[dict[str, object]]:
    return [dict(row) for row in database.read(f"SELECT * FROM {table} ORDER BY 1, 2")]


async def test_the_tables_for_other_readers_are_filled(database: Database, store: SqliteConfiguration) -> None:
    await apply(store, FULL)
    (user,) = rows(database, "users")
    assert (user["email"], user["name"], user["configured"], user["removed_at"]) == (ALICE.email, "alice", 1, None)
    teams = {str(row["name"]): row for row in rows(database, "teams")}
    assert teams["readers"]["global_admin"] == 1
    assert [(row["user_id"], row["role"]) for row in rows(database, "team_members")] == [(user["id"], "member")] * 2
    (pipeline,) = rows(database, "pipelines")
    assert pipeline["team_id"] == teams["owners"]["id"]
    assert (pipeline["file"], pipeline["line"], pipeline["revision"]) == ("pipelines/app.yaml", 7, "r1")
    assert rows(database, "pipeline_permissions") == [
        {"pipeline_id": pipeline["id"], "team_id": teams["readers"]["id"], "level": "read"}
    ]


async def test_a_removed_object_is_marked_and_keeps_its_id_when_it_is_added_again(
    database: Database, store: SqliteConfiguration
) -> None:
    await apply(store, FULL)
    before = {table: [row["id"] for row in rows(database, table)] for table in ("users", "teams", "pipelines")}
    await apply(store, State())
    for table, ids in before.items():
        assert [row["id"] for row in rows(database, table)] == ids
        assert all(row["removed_at"] == 1000.0 for row in rows(database, table))
    assert rows(database, "team_members") == rows(database, "pipeline_permissions") == []
    assert rows(database, "users")[0]["password_hash"] == ""
    pipelines = SqlitePipelines(database)
    assert await pipelines.list_pipelines() == []
    (removed,) = await pipelines.list_pipelines(with_removed=True)
    assert removed.removed

    await apply(store, FULL)
    for table, ids in before.items():
        assert [row["id"] for row in rows(database, table)] == ids
        assert all(row["removed_at"] is None for row in rows(database, table))


async def test_a_removed_user_is_logged_out_everywhere_for_good(database: Database, store: SqliteConfiguration) -> None:
    await apply(store, FULL)
    person = str(rows(database, "users")[0]["id"])
    session = BrowserSession("s", person, "password", (), "", "", 1.0, 1.0, 1e12)
    await SqliteSessions(database).add_session(session, b"session")
    await SqliteTokens(database).add_token(Token("t", person, "laptop", frozenset(Scope), (), 1.0, 1e12), b"token")
    access = SqliteAccess(database)
    await access.bind_identity(person, "https://issuer.example.org", "7", 1.0)
    await apply(store, State())
    await apply(store, FULL)
    assert rows(database, "sessions") == rows(database, "tokens") == rows(database, "identities") == []


async def test_a_changed_password_ends_the_sessions_and_keeps_the_tokens(
    database: Database, store: SqliteConfiguration
) -> None:
    await apply(store, FULL)
    user = next(one for one in rows(database, "users") if one["email"] in FULL.users)
    session = BrowserSession("s", str(user["id"]), "password", (), "", "", 1.0, 1.0, 1e12)
    await SqliteSessions(database).add_session(session, b"session")
    await SqliteTokens(database).add_token(Token("t", session.user_id, "x", frozenset(Scope), (), 1.0, 1e12), b"token")
    known = FULL.users[str(user["email"])]
    renamed = replace(FULL, users={**FULL.users, known.email: replace(known, name="another")})
    await apply(store, renamed)
    assert len(rows(database, "sessions")) == 1
    await apply(store, replace(renamed, users={**renamed.users, known.email: replace(known, password_hash="$2b$new")}))
    assert (len(rows(database, "sessions")), len(rows(database, "tokens"))) == (0, 1)


async def test_a_user_of_an_issuer_only_is_not_part_of_the_configuration(
    database: Database, store: SqliteConfiguration
) -> None:
    def bring(connection: object) -> None:
        connection.execute(  # type: ignore[attr-defined]
            "INSERT INTO users (id, email, name, oidc_subject, created_at, updated_at) "
            "VALUES ('u', 'guest@example.com', 'guest', 'sub', 1, 1)"
        )

    await database.write(bring)
    await apply(store, FULL)
    await apply(store, State())
    guest = next(row for row in rows(database, "users") if row["email"] == "guest@example.com")
    assert guest["removed_at"] is None


async def test_a_moved_line_is_stored_without_a_change(database: Database, store: SqliteConfiguration) -> None:
    await apply(store, FULL)
    moved = State(
        FULL.config,
        FULL.users,
        FULL.teams,
        {"app": PipelineDefinition("app", "owners", APP.spec, SourceLocation("p", 9))},
    )
    assert diff(moved, FULL) == ()
    await store.apply_changes((), moved, Applied("r2", 1001.0))
    state, applied = await store.load_state()
    assert state.pipelines["app"].place == SourceLocation("p", 9)
    assert applied == Applied("r2", 1001.0)


def implements(store: SqliteConfiguration) -> ConfigurationStore:
    """Checked by mypy."""
    return store
