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


def test_pods_belong_to_a_unit_that_a_restart_of_the_server_leaves_alone() -> None:
    service, pods = unit("danube.service")["Service"], unit("danube-pods.service")["Service"]
    assert (service["KillMode"], pods["KillMode"]) == ("mixed", "process")
    socket = unit("danube-pods.socket")["Socket"]
    assert socket["ListenSequentialPacket"] in (DEPLOY / "danube.service").read_text()
    assert socket["SocketMode"] == "0600"
    assert not {"PartOf", "BindsTo"} & set(unit("danube-pods.service")["Unit"])
    assert not [name for name in pods if name.startswith(("SystemCall", "Restrict", "Protect", "Capability"))]
    assert {service["OOMScoreAdjust"], pods["OOMScoreAdjust"]} == {str(INFRASTRUCTURE_OOM_SCORE)}


def test_the_server_sees_the_mounts_of_pods() -> None:
    service = unit("danube.service")["Service"]
    assert "PrivateTmp" not in service  # pods' mounts would be another view of the disk
    assert unit("danube.service")["Unit"]["RequiresMountsFor"] == ServerSettings().data_dir


def test_the_socket_is_the_servers_default_address() -> None:
    assert unit("danube.socket")["Socket"]["ListenStream"] == ServerSettings().bind_address
    assert unit("danube.service")["Unit"]["Requires"].split() == [
        "danube.socket",
        "danube-admin.socket",
        "danube-pods.socket",
    ]


def test_the_administrators_socket_admits_its_owner_alone() -> None:
    admin = unit("danube-admin.socket")["Socket"]
    assert (admin["SocketMode"], admin["SocketUser"]) == ("0600", "root")
    assert admin["ListenStream"] == f"{ServerSettings().data_dir}/danube.sock"
