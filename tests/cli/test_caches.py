"""`danube caches`, and the caches of `danube run`."""

from pathlib import Path

import pytest

from danube_pkg.cli.run_directories import CACHE_DAYS, caches_of, tidy_caches
from danube_pkg.kit.locks import DirectoryLock
from tests.cli.shell import Shell
from tests.edges.http.api import Api
from tests.edges.http.test_caches import stored


async def test_the_command_lists_and_removes_caches(api: Api, shell: Shell) -> None:
    api.pipeline("app")
    data = ("--data", str(api.path))
    await stored(api, "v1-" + "0" * 40, days=2)
    listed = await shell.danube("caches", "list", "app", *data)
    assert "id-v1-" in listed
    assert "main" in listed
    assert "2.0 kB of" in listed
    assert "danube caches list app" in await shell.danube("caches", "remove", "app", "id-none", *data, code=3)
    assert await shell.danube("caches", "remove", "app", "--all", *data) == "1 removed, 2.0 kB\n"


def test_caches_of_a_working_tree_are_removed_once_no_run_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    used, old = caches_of(tmp_path / "used"), caches_of(tmp_path / "old")
    for directory in (used, old):
        directory.mkdir(parents=True)
    held = DirectoryLock(used / "danube.lock")
    DirectoryLock(old / "danube.lock").release()
    assert tidy_caches() == 0
    monkeypatch.setattr("danube_pkg.cli.run_directories.CACHE_DAYS", -CACHE_DAYS)
    assert tidy_caches() == 1
    assert (used.exists(), old.exists()) == (True, False)
    assert tidy_caches(everything=True) == 0
    held.release()
    assert tidy_caches(everything=True) == 1
