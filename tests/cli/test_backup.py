"""`danube backup`, `restore`, `migrate` and `check-upgrade` as commands."""

import asyncio
import json
from pathlib import Path
from typing import NamedTuple

import pytest

from danube_pkg.adapters.store import database as database_module
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.core.errors import Unavailable
from danube_pkg.ops.check_upgrade import check_upgrade
from tests.cli.shell import DANUBE, Shell
from tests.edges.http.api import Api


async def test_a_running_server_is_backed_up_and_restored(api: Api, shell: Shell, tmp_path: Path) -> None:
    backup, new = tmp_path / "backup", tmp_path / "new"
    data = ("--data", str(api.path))
    shown = json.loads(await shell.danube("backup", str(backup), "--include", "logs,artifacts", "--json", *data))
    assert (shown["includes"], shown["encrypted"]) == (["artifacts", "logs"], False)
    assert "cannot be included" in await shell.danube("backup", str(backup), "--include", "pods", *data, code=2)
    shown_text = await shell.danube("restore", str(backup), "--data", str(new))
    assert "the server starts paused" in shown_text
    assert "is not an empty directory" in await shell.danube("restore", str(backup), "--data", str(new), code=3)
    assert "there is no file" in await shell.danube("restore", "none", "--data", str(new), code=2)


class Usage(NamedTuple):
    """As `shutil.disk_usage` returns it."""

    total: int
    used: int
    free: int


async def test_a_server_is_checked_before_an_upgrade(api: Api, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = Usage(1 << 40, 0, 1 << 39)
    monkeypatch.setattr("danube_pkg.ops.check_upgrade.disk_usage", lambda path: usage)
    data = ("--data", str(api.path))
    (api.path / "config" / "config.yaml").write_text("")
    await api.local.post("/api/v1/config/sync")
    found = {one["name"]: one for one in json.loads(await shell.danube("check-upgrade", "--json", *data))}
    assert list(found) == ["database", "keys", "disk", "server", "jobs", "configuration"]
    assert all(one["ok"] for one in found.values())
    (api.path / "keys" / "encryption.key").chmod(0o644)
    done = await asyncio.to_thread(shell.run_process, [*DANUBE, "check-upgrade", *data], "")
    assert done.returncode == 1
    assert "FAIL keys" in done.stdout
    assert "chmod 600" in done.stdout


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(1 << 40, 0, 1 << 36), "a tenth should be"),
        (Usage(100_000, 0, 50_000), "a copy of the database needs"),
    ],
)
def test_a_disk_without_room_for_a_copy_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usage: Usage, expected: str
) -> None:
    database_module.Database.migrate(tmp_path / "danube.db")
    monkeypatch.setattr("danube_pkg.ops.check_upgrade.disk_usage", lambda path: usage)
    found = {one.name: one for one in check_upgrade(tmp_path, no_server)}
    assert (found["disk"].ok, expected in found["disk"].what) == (False, True)
    assert "danube reap" in found["disk"].hint
    assert (found["keys"].ok, found["server"].ok) == (False, False)


def no_server(path: str) -> object:
    raise Unavailable("no-server", "no server answers", hint="danube serve")


async def test_a_server_that_does_not_run_is_named(shell: Shell, tmp_path: Path) -> None:
    await shell.danube("check-upgrade", "--data", str(tmp_path), code=1)


async def test_an_older_database_is_migrated_after_a_copy(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wanted = tmp_path / "danube.db", len(MIGRATIONS)
    with monkeypatch.context() as older:
        older.setattr(database_module, "MIGRATIONS", MIGRATIONS[:-1])
        database_module.Database.migrate(path)
    before = path.read_bytes()
    data = ("--data", str(tmp_path))
    await shell.danube("migrate", "--check", *data, code=1)
    assert path.read_bytes() == before
    shown = await shell.danube("migrate", *data)
    assert f"schema {wanted - 1} is now {wanted}" in shown
    assert str(tmp_path / f"danube.db.schema-{wanted - 1}") in shown
    assert "is current" in await shell.danube("migrate", *data)
    assert json.loads(await shell.danube("migrate", "--check", "--json", *data)) == {
        "schema": wanted,
        "program": wanted,
    }


async def test_a_newer_database_is_refused_with_both_versions(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "danube.db"
    database_module.Database.migrate(path)
    connection = database_module._connect(path, read_only=False)
    connection.execute("INSERT INTO schema_version VALUES (99, 0)")
    connection.close()
    for words in (("migrate", "--check"), ("migrate",)):
        shown = await shell.danube(*words, "--data", str(tmp_path), code=3)
        assert f"has schema 99, this program knows up to {len(MIGRATIONS)}" in shown
