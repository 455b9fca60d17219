"""The units of deploy/ are those that `danube install` writes, and agree with the server's own defaults."""

import configparser
from pathlib import Path

from danube_pkg.core.configuration.settings import ServerSettings
from danube_pkg.core.runtimes.pods import INFRASTRUCTURE_OOM_SCORE
from danube_pkg.install.units import default_unit_texts

DEPLOY = Path(__file__).parents[2] / "deploy"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)  # systemd takes a key several times
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read_string((DEPLOY / name).read_text())
    return parser


def test_deploy_has_the_units_of_an_installation() -> None:
    for name, text in default_unit_texts().items():
        assert (DEPLOY / name).read_text() == text, "python -m build_steps.unit_files"


def test_pods_outlive_the_unit_and_builds_end_before_the_server() -> None:
    service = unit("danube.service")["Service"]
    assert service["KillMode"] == "process"
    assert int(service["OOMScoreAdjust"]) == INFRASTRUCTURE_OOM_SCORE
    assert "PrivateTmp" not in service  # pods' mounts would be another view of the disk
    assert unit("danube.service")["Unit"]["RequiresMountsFor"] == ServerSettings().data_dir


def test_the_socket_is_the_servers_default_address() -> None:
    assert unit("danube.socket")["Socket"]["ListenStream"] == ServerSettings().bind_address
    assert unit("danube.service")["Unit"]["Requires"].split() == ["danube.socket", "danube-admin.socket"]


def test_the_administrators_socket_admits_its_owner_alone() -> None:
    admin = unit("danube-admin.socket")["Socket"]
    assert (admin["SocketMode"], admin["SocketUser"]) == ("0600", "root")
    assert admin["ListenStream"] == f"{ServerSettings().data_dir}/danube.sock"
