"""A port that is open before the program is ready."""

import os
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from danube_pkg.cli import serving
from danube_pkg.cli.commands import serve
from danube_pkg.cli.listening import early_socket, inherited_socket


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_a_connection_waits_until_the_program_accepts_it() -> None:
    address = free_address()
    listening = early_socket(address)
    assert listening is not None
    assert not listening.get_inheritable()
    with listening, connect(address) as client:
        client.sendall(b"waits")
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(10) == b"waits"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.0.0.1:", "nowhere", "127.0.0.1:99999", "no-such-host.invalid:80", ":x"]
)
def test_an_address_that_cannot_be_used_yet_is_left_to_the_program(address: str) -> None:
    assert early_socket(address) is None


def test_a_port_in_use_is_left_to_the_program() -> None:
    address = free_address()
    first = early_socket(address)
    assert first is not None
    with first:
        assert early_socket(address) is None


def test_a_socket_of_systemd_is_taken_over() -> None:
    """As sd_listen_fds(3) describes it: descriptor 3, and this process's id."""
    program = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); os.environ['LISTEN_FDS'] = '1';"
        "from danube_pkg.cli.listening import inherited_socket; made = inherited_socket();"
        "print(made.getsockname()[1], made.get_inheritable(), 'LISTEN_FDS' in os.environ)"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        descriptor = server.fileno()
        command = [sys.executable, "-c", program, str(descriptor)]
        done = subprocess.run(command, pass_fds=[descriptor], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.split() == [str(server.getsockname()[1]), "False", "False"]


def test_no_socket_is_taken_that_was_meant_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert inherited_socket() is None


def test_the_server_listens_before_it_is_imported_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = free_address()
    (tmp_path / "danube.toml").write_text(f'[server]\nbind_address = "{address}"\n')

    def run_server(options: Namespace, named: str | None, listening: socket.socket | None) -> int:
        assert listening is not None
        with connect(address) as client:
            return client.getpeername()[1] != int(address.rpartition(":")[2])

    monkeypatch.setattr(serving, "run_server", run_server)
    monkeypatch.delenv("DANUBE_CONFIG", raising=False)
    assert serve.main(Namespace(config=str(tmp_path / "danube.toml"), listen=None, data=None)) == 0


@pytest.mark.parametrize("text", ["", "[server", "server = 1", "[server]\nbind_address = 7", "a = " + "[" * 3000])
def test_a_file_that_will_be_refused_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "danube.toml").write_text(text)
    monkeypatch.setattr(serving, "run_server", lambda options, named, listening: int(listening is not None))
    assert serve.main(Namespace(config=str(tmp_path / "danube.toml"), listen=None, data=None)) == 0
    assert serve.main(Namespace(config=str(tmp_path / "absent.toml"), listen=None, data=None)) == 0


def test_the_option_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    address = free_address()
    monkeypatch.setattr(serving, "run_server", lambda options, named, listening: listening.getsockname()[1])
    assert serve.main(Namespace(config=None, listen=address, data=None)) == int(address.rpartition(":")[2])
    assert os.environ.get("LISTEN_FDS") is None
