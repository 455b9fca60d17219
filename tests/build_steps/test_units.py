"""The units of deploy/ agree with the server's own defaults."""

import configparser
from pathlib import Path

from danube_pkg.core.configuration.settings import ServerSettings
from danube_pkg.core.runtimes.pods import INFRASTRUCTURE_OOM_SCORE

DEPLOY = Path(__file__).parents[2] / "deploy"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read_string((DEPLOY / name).read_text())
    return parser


def test_pods_outlive_the_unit_and_builds_end_before_the_server() -> None:
    service = unit("danube.service")["Service"]
    assert service["KillMode"] == "process"
    assert int(service["OOMScoreAdjust"]) == INFRASTRUCTURE_OOM_SCORE
    assert "PrivateTmp" not in service  # pods' mounts would be another view of the disk
    assert f"/var/lib/{service['StateDirectory']}" == ServerSettings().data_dir
    assert service["StateDirectoryMode"] == "0700"


def test_the_socket_is_the_servers_default_address() -> None:
    assert unit("danube.socket")["Socket"]["ListenStream"] == ServerSettings().bind_address
    assert unit("danube.service")["Unit"]["Requires"] == "danube.socket"
