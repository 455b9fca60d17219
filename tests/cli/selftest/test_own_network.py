"""The network of a self-test: Danube reads its repository, and what breaks it breaks nothing else."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from dulwich import porcelain

from danube_pkg.cli.selftest.own_network import Broken, OwnNetwork, make_repository
from danube_pkg.cli.selftest.workload import repository_files
from tests.support.waiting import wait_until


@pytest.fixture
def network(tmp_path: Path) -> Iterator[OwnNetwork]:
    make_repository(tmp_path / "application", repository_files())
    made = OwnNetwork(tmp_path / "application")
    yield made
    made.close()


def report(network: OwnNetwork, script: str) -> None:
    urllib.request.urlopen(f"http://{network.address}/ran/job/begin/{script}", timeout=30).close()


def test_it_serves_its_repository(network: OwnNetwork, tmp_path: Path) -> None:
    porcelain.clone(network.repository_url, str(tmp_path / "clone")).close()
    assert (tmp_path / "clone" / "content").read_text() == "from the repository\n"


def test_it_knows_which_scripts_reported(network: OwnNetwork) -> None:
    for script in ("a", "a", "b"):
        report(network, script)
    assert network.reported == {"job": {"begin": {"a", "b"}}}


@pytest.mark.parametrize("how", [Broken.REFUSE, Broken.CUT])
def test_a_broken_network_refuses_until_it_is_repaired(network: OwnNetwork, how: Broken) -> None:
    network.damage(how)
    with pytest.raises(OSError, match=r"reset|closed"):
        report(network, "a")
    network.repair()
    report(network, "b")
    assert network.reported == {"job": {"begin": {"b"}}}


def test_a_stalled_connection_gets_its_answer_after_the_repair(network: OwnNetwork) -> None:
    network.damage(Broken.STALL)
    thread = threading.Thread(target=report, args=(network, "a"))
    thread.start()
    wait_until(lambda: bool(network._connections), 30, "the connection")
    assert network.reported == {}
    network.repair()
    thread.join(30)
    assert network.reported == {"job": {"begin": {"a"}}}


def test_open_connections_are_cut(network: OwnNetwork) -> None:
    host, _, port = network.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        wait_until(lambda: bool(network._connections), 30, "the connection")
        network.damage(Broken.CUT)
        assert connection.recv(1) == b""
