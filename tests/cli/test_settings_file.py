"""Every command finds the server that `danube serve` starts in the same directory."""

from argparse import Namespace
from pathlib import Path

import pytest

from danube_pkg.cli.servers import data_directory, find_server
from danube_pkg.cli.settings_file import local_data_directory

NO_OPTIONS = Namespace(server=None, data=None)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DANUBE_CONFIG", "DANUBE_DATA", "DANUBE_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_data_directory_is_that_of_danube_toml_here(here: Path) -> None:
    (here / ".danube").mkdir()
    assert data_directory(None) == here / ".danube"
    (here / "danube.toml").write_text('[server]\ndata_dir = "data"\n')
    assert data_directory(None) == here / "data"
    assert find_server(NO_OPTIONS).socket == here / "data" / "danube.sock"


def test_options_and_the_environment_take_precedence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "danube.toml").write_text('[server]\ndata_dir = "data"\n')
    (here / "other").mkdir()
    (here / "other" / "danube.toml").write_text('[server]\ndata_dir = "there"\n')
    monkeypatch.setenv("DANUBE_CONFIG", str(here / "other" / "danube.toml"))
    assert data_directory(None) == here / "other" / "there"
    monkeypatch.setenv("DANUBE_DATA", str(here / "named"))
    assert find_server(NO_OPTIONS).socket == here / "named" / "danube.sock"
    assert data_directory(str(here / "option")) == here / "option"


@pytest.mark.parametrize("text", ["", "[server", "[server]\n", "server = 1", "[server]\ndata_dir = 7"])
def test_a_file_that_names_no_directory_says_nothing(here: Path, text: str) -> None:
    (here / "danube.toml").write_text(text)
    assert local_data_directory() is None
