"""What is left in a data directory after a test is found."""

import sqlite3
from contextlib import closing
from pathlib import Path

from danube_pkg.cli.selftest.evidence import PIECE_BYTES, files_with, of_stopped_server, tracebacks
from danube_pkg.cli.selftest.machine_state import rows_of
from tests.support.databases import prepare_database

SECRET = b"correct-horse-battery-staple"


def test_a_secret_is_found_also_across_two_pieces(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "split").write_bytes(b"x" * (PIECE_BYTES - 5) + SECRET)
    (tmp_path / "clean").write_bytes(SECRET[:-1])
    assert [path.name for path in files_with(SECRET, tmp_path)] == ["split"]


def test_a_traceback_in_the_server_log_is_found(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(
        '{"event": "a"}\n{"event": "b", "error": "Traceback (most recent call last): …"}\nFatal Python error\n'
    )
    assert len(tracebacks(log)) == 2


def test_a_stopped_server_that_owes_work_is_found(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "server.log"
    data.mkdir()
    log.write_text("")
    prepare_database(data / "danube.db")
    assert [one.kept for one in of_stopped_server(data, log, SECRET)] == [True] * 4
    with closing(sqlite3.connect(data / "danube.db")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO effects (job_id, position, generation, kind) VALUES ('j', 1, 0, 'x')")
        connection.commit()
    found = {one.name: one.problems for one in of_stopped_server(data, log, SECRET)}
    assert found["the database is whole"]
    assert rows_of(data / "danube.db")["effects"] == 1
