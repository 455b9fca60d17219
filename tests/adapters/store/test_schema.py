"""The schema: its columns, constraints, indexes and migrations."""

import sqlite3
from pathlib import Path

import pytest

from danube_pkg.adapters.store import Database
from danube_pkg.adapters.store import database as database_module
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.core.errors import Permanent
from tests.support.databases import connection_of

PROMISED = {
    "users": "id email name oidc_subject created_at updated_at",
    "teams": "id name created_at",
    "team_members": "team_id user_id role",
    "pipelines": "id name team_id repo_url branch_filter cron_schedule config_path max_duration_seconds "
    "workspace_size_gb created_at updated_at",
    "pipeline_permissions": "pipeline_id team_id level",
    "jobs": "id pipeline_id trigger_type trigger_ref status started_at finished_at log_path created_at",
    "steps": "id job_id name sequence status exit_code started_at finished_at log_offset_start log_offset_end",
    "secrets": "id pipeline_id key value_encrypted created_at",
    "artifacts": "id job_id name path size_bytes created_at",
}

ROWS = """
INSERT INTO users (id, email, name, oidc_subject, created_at, updated_at) VALUES ('u', 'u@example.org', 'U', 'sub', 0, 0), ('v', 'v@example.org', 'V', NULL, 0, 0);
INSERT INTO teams (id, name, created_at) VALUES ('t', 't', 0), ('t2', 't2', 0);
INSERT INTO team_members (team_id, user_id, role) VALUES ('t', 'u', 'admin'), ('t', 'v', 'member'), ('t2', 'v', 'member');
INSERT INTO pipelines (id, name, team_id, repo_url, created_at, updated_at, settings)
    VALUES ('p', 'p', 't', 'r', 0, 0, '{}'), ('p2', 'p2', NULL, 'r', 0, 0, '{}');
INSERT INTO pipeline_permissions (pipeline_id, team_id, level) VALUES ('p', 't', 'write'), ('p', 't2', 'read'), ('p2', 't2', 'admin');
INSERT INTO jobs (id, pipeline_id, trigger_type, status, log_path, created_at, pipeline, phase, reason, message,
    generation, effect_count, trigger, settings)
    VALUES ('j', 'p2', 'webhook', 'success', 'l', 0, 'p2', 'closed', '', '', 0, 0, '{}', '{}');
INSERT INTO steps (id, job_id, name, sequence, status, image, checked, retries, timeout_seconds, attempt, phase)
    VALUES ('j-0001', 'j', 's', 1, 'success', 'host', 1, 0, 0, 1, 'ended');
INSERT INTO artifacts (id, job_id, name, path, size_bytes, created_at, sha256) VALUES ('a', 'j', 'report', 'report.tar.gz', 1, 0, 'hash');
INSERT INTO effects (job_id, position, generation, kind, done_at) VALUES ('j', 1, 0, 'create-pod', 0);
INSERT INTO secret_reads (job_id, sequence, key, at, name) VALUES ('j', 1, 'TOKEN', 0, 'TOKEN');
"""


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    database_module._migrate(made := database_module._connect(tmp_path / "d.db", read_only=False), tmp_path / "d.db")
    made.executescript(ROWS)
    return made


def count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("table", PROMISED)
def test_every_specified_column_exists(connection: sqlite3.Connection, table: str) -> None:
    columns = {row["name"]: row for row in connection.execute(f"PRAGMA table_info({table})")}
    assert set(PROMISED[table].split()) <= set(columns)
    if "id" in columns:
        assert (columns["id"]["type"], columns["id"]["pk"]) == ("TEXT", 1)


def test_defaults_are_as_specified(connection: sqlite3.Connection) -> None:
    row = connection.execute("SELECT * FROM pipelines WHERE id = 'p'").fetchone()
    assert (row["config_path"], row["max_duration_seconds"], row["workspace_size_gb"]) == ("danubefile.py", 3600, 5)
    assert row["branch_filter"] == "[]"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (id, email, name, oidc_subject, created_at, updated_at) VALUES ('w', 'u@example.org', 'W', NULL, 0, 0)",
        "INSERT INTO users (id, email, name, oidc_subject, created_at, updated_at) VALUES ('w', 'w@example.org', 'W', 'sub', 0, 0)",
        "INSERT INTO teams (id, name, created_at) VALUES ('t3', 't', 0)",
        "INSERT INTO team_members VALUES ('t2', 'u', 'owner')",
        "INSERT INTO pipeline_permissions VALUES ('p2', 't', 'execute')",
        "UPDATE jobs SET trigger_type = 'wind'",
        "UPDATE jobs SET pipeline_id = 'no such pipeline'",
        "INSERT INTO artifacts (id, job_id, name, path, size_bytes, created_at, sha256) "
        "VALUES ('b', 'j', 'report', 'x', 1, 0, 'other')",
        "INSERT INTO steps (id, job_id, name, sequence, status, image, checked, retries, timeout_seconds, attempt, phase) "
        "SELECT 'j-0002', job_id, name, sequence, status, image, 1, 0, 0, 1, phase FROM steps",
        "DELETE FROM pipelines WHERE id = 'p2'",
        "UPDATE jobs SET created_at = 'yesterday'",
    ],
)
def test_invalid_rows_are_refused(connection: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)


def test_two_values_of_one_secret_are_refused_also_for_global_ones(connection: sqlite3.Connection) -> None:
    add = "INSERT INTO secrets (id, pipeline_id, key, value_encrypted, created_at, updated_at) VALUES (?, ?, 'K', x'', 0, 0)"
    for number, pipeline in enumerate(["p", "p2", None]):
        connection.execute(add, (f"s{number}", pipeline))
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(add, (f"again{number}", pipeline))


def test_dependent_rows_are_deleted_together(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM users WHERE id = 'u'")
    assert count(connection, "team_members") == 2
    connection.execute("DELETE FROM teams WHERE id = 't'")
    assert (count(connection, "team_members"), count(connection, "pipeline_permissions")) == (1, 2)
    assert connection.execute("SELECT team_id FROM pipelines WHERE id = 'p'").fetchone()["team_id"] is None
    connection.execute("DELETE FROM pipelines WHERE id = 'p'")
    assert count(connection, "pipeline_permissions") == 1
    connection.execute("DELETE FROM jobs WHERE id = 'j'")
    assert [count(connection, table) for table in ("steps", "artifacts", "effects", "secret_reads")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM jobs WHERE pipeline_id = 'p'",
        "SELECT * FROM jobs WHERE status = 'running'",
        "SELECT * FROM steps WHERE job_id = 'j'",
        "SELECT * FROM team_members WHERE user_id = 'u'",
        "SELECT * FROM pipeline_permissions WHERE team_id = 't'",
        "SELECT * FROM jobs WHERE phase <> 'closed'",
        "SELECT * FROM jobs WHERE pipeline = 'p' AND status = 'failure' ORDER BY id DESC LIMIT 50",
    ],
)
def test_frequent_queries_use_an_index(connection: sqlite3.Connection, query: str) -> None:
    plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert all("USING INDEX" in step or "USING COVERING INDEX" in step for step in plan), plan


def test_no_table_accepts_a_value_of_another_type(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    own = [row for row in tables if not row["name"].startswith("sqlite_")]
    assert [row["name"] for row in own if "STRICT" not in row["sql"]] == []


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        database = Database(tmp_path / "danube.db")
        versions = database.read("SELECT version FROM schema_version ORDER BY version")
        assert [row["version"] for row in versions] == list(range(1, len(MIGRATIONS) + 1))
        assert database.read("PRAGMA journal_mode")[0][0] == "wal"
        assert connection_of(database).execute("PRAGMA synchronous").fetchone()[0] == 2
        await database.close()


async def test_a_job_of_an_older_server_keeps_its_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods bore their job's id before they had ids of their own; a job that has not started has no pod."""
    (before,) = (number for number, text in enumerate(MIGRATIONS) if "ADD COLUMN pod_id" in text)
    with monkeypatch.context() as older:
        older.setattr(database_module, "MIGRATIONS", MIGRATIONS[:before])
        connection = database_module._connect(tmp_path / "danube.db", read_only=False)
        database_module._migrate(connection, tmp_path / "danube.db")
    connection.executescript(ROWS)
    connection.execute("UPDATE jobs SET started_at = 1")
    connection.execute(
        "INSERT INTO jobs (id, pipeline_id, trigger_type, status, log_path, created_at, pipeline, phase, reason, message, "
        "generation, effect_count, trigger, settings) SELECT 'queued', pipeline_id, trigger_type, 'pending', log_path, "
        "created_at, pipeline, 'queued', reason, message, generation, effect_count, trigger, settings FROM jobs"
    )
    connection.commit()
    connection.close()
    database = Database(tmp_path / "danube.db")
    rows = database.read("SELECT id, pod_id FROM jobs ORDER BY id")
    assert [tuple(row) for row in rows] == [("j", "j"), ("queued", "")]
    await database.close()


async def test_a_subject_without_its_issuer_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be an account of an issuer that the configuration named before."""
    (before,) = (number for number, text in enumerate(MIGRATIONS) if "CREATE TABLE identities" in text)
    with monkeypatch.context() as older:
        older.setattr(database_module, "MIGRATIONS", MIGRATIONS[:before])
        connection = database_module._connect(tmp_path / "danube.db", read_only=False)
        database_module._migrate(connection, tmp_path / "danube.db")
    connection.executescript(ROWS)
    for method in ("oidc", "password"):
        values = (method, method.encode(), "u", method, "[]", "", "", 0, 0, 1e12)
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    database = Database(tmp_path / "danube.db")
    assert [row["oidc_subject"] for row in database.read("SELECT * FROM users")] == [None, None]
    assert [tuple(row) for row in database.read("SELECT method, issuer FROM sessions")] == [("password", "")]
    assert database.read("SELECT * FROM identities") == []
    await database.close()


async def test_a_newer_schema_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    database = Database(tmp_path / "danube.db")
    await database.write(lambda connection: connection.execute("INSERT INTO schema_version VALUES (99, 0)") and None)
    await database.close()
    before = (tmp_path / "danube.db").read_bytes()
    with pytest.raises(Permanent) as refusal:
        Database(tmp_path / "danube.db")
    assert refusal.value.reference == "database-newer"
    assert "99" in refusal.value.what
    assert (tmp_path / "danube.db").read_bytes() == before


async def test_a_failing_migration_leaves_the_schema_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*MIGRATIONS, "CREATE TABLE first (x INTEGER) STRICT; CREATE TABLE first (x INTEGER) STRICT;")
    monkeypatch.setattr(database_module, "MIGRATIONS", broken)
    with pytest.raises(Exception, match="already exists"):
        Database(tmp_path / "danube.db")
    fixed = (*MIGRATIONS, "CREATE TABLE first (x INTEGER) STRICT; CREATE TABLE second (x INTEGER) STRICT;")
    monkeypatch.setattr(database_module, "MIGRATIONS", fixed)
    database = Database(tmp_path / "danube.db")
    assert database.read("SELECT max(version) FROM schema_version")[0][0] == len(MIGRATIONS) + 1
    assert database.read("SELECT * FROM second") == []
    await database.close()


async def test_a_job_that_is_ending_during_an_upgrade_owes_its_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pod is deleted after that, as that of any other job; what it has done stays done."""
    (before,) = (number for number, text in enumerate(MIGRATIONS) if "CREATE TABLE provenance" in text)
    with monkeypatch.context() as older:
        older.setattr(database_module, "MIGRATIONS", MIGRATIONS[:before])
        connection = database_module._connect(tmp_path / "danube.db", read_only=False)
        database_module._migrate(connection, tmp_path / "danube.db")
    connection.executescript(ROWS)
    connection.execute("UPDATE jobs SET phase = 'concluding', effect_count = 4")
    owed = [(2, "stop-steps", 5.0), (3, "close-log", None), (4, "delete-pod", None)]
    connection.executemany("INSERT INTO effects VALUES ('j', ?, 1, ?, ?)", owed)
    connection.commit()
    connection.close()
    database = Database(tmp_path / "danube.db")
    rows = database.read("SELECT position, generation, kind FROM effects WHERE done_at IS NULL ORDER BY position")
    assert [tuple(row) for row in rows] == [(3, 1, "close-log"), (4, 1, "sign-provenance"), (5, 1, "delete-pod")]
    assert database.read("SELECT effect_count FROM jobs")[0][0] == 5
    await database.close()


async def test_a_stored_statement_is_never_changed(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO provenance VALUES ('j', x'01', 'key', '')")
    with pytest.raises(sqlite3.IntegrityError, match="not changed"):
        connection.execute("UPDATE provenance SET envelope = x'02'")
