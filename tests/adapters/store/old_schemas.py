"""Databases of every older schema, as SQL texts in `schemas/`, with rows in each table that it had.

`python -m tests.adapters.store.old_schemas` writes those that are missing, when a version is released. A text that
exists is never written again: it is what servers out there have.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from danube_pkg.adapters.store.migrations import MIGRATIONS

FOLDER = Path(__file__).parent / "schemas"

JOB = (
    '{"type": "webhook", "actor": "carol", "branch": "main", "revision": {"commit_sha": "c0ffee", "ref": "refs/heads/main",'
    ' "branch": "main"}}'
)
SETTINGS = '{"repository": "/srv/app"}'

ROWS = {
    1: f"""
INSERT INTO users (id, email, name, oidc_subject, created_at, updated_at)
    VALUES ('u', 'carol@example.org', 'carol', 'sub', 1, 1);
INSERT INTO teams (id, name, created_at) VALUES ('t', 'core', 1);
INSERT INTO team_members (team_id, user_id, role) VALUES ('t', 'u', 'admin');
INSERT INTO pipelines (id, name, team_id, repo_url, created_at, updated_at, settings)
    VALUES ('p', 'app', 't', '/srv/app', 1, 1, '{SETTINGS}');
INSERT INTO pipeline_permissions (pipeline_id, team_id, level) VALUES ('p', 't', 'write');
INSERT INTO jobs (id, pipeline_id, trigger_type, status, started_at, finished_at, log_path, created_at, pipeline, phase,
    reason, message, generation, effect_count, "trigger", settings)
    VALUES ('01h00000000000000000000001', 'p', 'webhook', 'success', 2, 3, 'logs/j.log', 1, 'app', 'closed', '', '', 1, 1,
    '{JOB}', '{SETTINGS}');
INSERT INTO steps (id, job_id, name, sequence, status, exit_code, image, checked, retries, timeout_seconds, attempt, phase)
    VALUES ('01h00000000000000000000001-0001', '01h00000000000000000000001', 'make', 1, 'success', 0, 'host', 1, 0, 0, 1,
    'ended');
INSERT INTO effects (job_id, position, generation, kind, done_at)
    VALUES ('01h00000000000000000000001', 1, 0, 'create-pod', 2);
INSERT INTO secrets VALUES ('s', 'app', 'TOKEN', x'00', 1, 1);
INSERT INTO secret_reads (job_id, sequence, key, at) VALUES ('01h00000000000000000000001', 1, 'TOKEN', 2);
INSERT INTO artifacts (id, job_id, name, path, size_bytes, created_at, sha256)
    VALUES ('a', '01h00000000000000000000001', 'report', 'report', 1, 2, 'abc');
""",
    3: """
INSERT INTO sessions (id, secret_hash, user_id, method, address, user_agent, created_at, seen_at, expires_at)
    VALUES ('se', x'01', 'u', 'password', '', '', 1, 1, 1e12);
INSERT INTO tokens (id, secret_hash, user_id, name, scopes, created_at, expires_at)
    VALUES ('to', x'02', 'u', 'ci', '[]', 1, 1e12);
INSERT INTO audit VALUES (1, 1, 'carol', 'trigger', 'app', 'done', '', '', '{}', x'03');
INSERT INTO server_state VALUES ('key-fingerprint', 'abc', 1);
""",
    4: """
INSERT INTO configuration VALUES (1, 'c0ffee', 1, '{}');
""",
    6: """
INSERT INTO inbox (source, key, event, received_at, settled_at, outcome)
    VALUES ('gitea', 'delivery-1', '{"repository": {"name": "Ops/App"}}', 1, 2, 'job');
INSERT INTO cron_moments VALUES ('app', '@daily', 1);
""",
}
"""Rows that the schema of that number can have first."""


def file_of(number: int) -> Path:
    """The text of a schema."""
    return FOLDER / f"{number:02}.sql"


def write(number: int) -> None:
    """Make a database step by step, with rows from the first schema on that has their table."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT")
        for at, step in enumerate(MIGRATIONS[:number], start=1):
            connection.executescript(f"{step} INSERT INTO schema_version VALUES ({at}, 1);{ROWS.get(at, '')}")
        text = "\n".join(line for line in connection.iterdump())
    file_of(number).write_text(text + "\n")


def load(number: int, path: Path) -> None:
    """A database with that schema."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(file_of(number).read_text())


def main() -> None:
    """Write what is missing."""
    for number in range(1, len(MIGRATIONS)):
        if not file_of(number).exists():
            write(number)
            print(f"wrote {file_of(number)}")


if __name__ == "__main__":
    main()
