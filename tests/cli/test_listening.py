"""A port that is open before the program is ready."""

import ast
import os
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from danube_pkg.cli import serving
from danube_pkg.cli.commands import serve
from danube_pkg.cli.listening import early_socket, inherited_sockets


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


INHERIT = """
import os, subprocess, sys
for wanted, given in enumerate(sys.argv[2:], 100):
    os.dup2(int(given), wanted)
for index in range(len(sys.argv[2:])):
    os.dup2(100 + index, 3 + index)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sys.argv[2:])), "LISTEN_FDNAMES": sys.argv[1]}
from danube_pkg.cli.listening import inherited_sockets
found = inherited_sockets()
print({name: (one.getsockname(), one.get_inheritable()) for name, one in sorted(found.items())})
print([name for name in os.environ if name.startswith("LISTEN")])
print(subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout.split())
"""
"""As sd_listen_fds_with_names(3) describes it: descriptors from 3, this process's id, names with colons between."""


def inherit(names: str, *sockets: socket.socket) -> list[str]:
    """What a process prints that inherits these sockets under these names."""
    descriptors = [one.fileno() for one in sockets]
    command = [sys.executable, "-c", INHERIT, names, *map(str, descriptors)]
    done = subprocess.run(command, pass_fds=descriptors, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_sockets_of_systemd_are_taken_by_name_and_reach_no_child(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as http, socket.socket(socket.AF_UNIX) as admin:
        admin.bind(str(tmp_path / "admin"))
        expected = {"admin": (admin.getsockname(), False), "http": (http.getsockname(), False)}
        for names, sockets in (("http:admin", (http, admin)), ("admin:http", (admin, http))):
            found, variables, children = inherit(names, *sockets)
            assert found == str(expected)
            assert variables == "[]"
            assert not {"3", "4"} & set(ast.literal_eval(children)) - {"3"}


def test_descriptors_of_other_names_are_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("127.0.0.1", 0)) as other:
        assert inherit("other:danube.socket", other, http)[0] == str({"http": (http.getsockname(), False)})
        assert inherit("", other)[0] == "{}"


@pytest.mark.parametrize(("process", "count"), [("1", "1"), ("own", "0"), ("own", "x"), ("own", "9999"), ("", "1")])
def test_no_socket_is_taken_that_was_meant_for_another_process(
    monkeypatch: pytest.MonkeyPatch, process: str, count: str
) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if process == "own" else process)
    monkeypatch.setenv("LISTEN_FDS", count)
    assert inherited_sockets() == {}
    assert "LISTEN_FDS" not in os.environ


def test_the_server_listens_before_it_is_imported_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = free_address()
    (tmp_path / "danube.toml").write_text(f'[server]\nbind_address = "{address}"\n')

    def run_server(
        options: Namespace, named: str | None, listening: socket.socket | None, admin: socket.socket | None
    ) -> int:
        assert (listening is not None, admin) == (True, None)
        with connect(address) as client:
            return client.getpeername()[1] != int(address.rpartition(":")[2])

    monkeypatch.setattr(serving, "run_server", run_server)
    monkeypatch.delenv("DANUBE_CONFIG", raising=False)
    assert (
        serve.main(Namespace(config=str(tmp_path / "danube.toml"), listen=None, data=None, trial=False, pods=False))
        == 0
    )


@pytest.mark.parametrize("text", ["", "[server", "server = 1", "[server]\nbind_address = 7", "a = " + "[" * 3000])
def test_a_file_that_will_be_refused_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "danube.toml").write_text(text)
    monkeypatch.setattr(serving, "run_server", lambda options, named, listening, admin: int(listening is not None))
    assert (
        serve.main(Namespace(config=str(tmp_path / "danube.toml"), listen=None, data=None, trial=False, pods=False))
        == 0
    )
    assert (
        serve.main(Namespace(config=str(tmp_path / "absent.toml"), listen=None, data=None, trial=False, pods=False))
        == 0
    )


def test_the_option_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    address = free_address()
    monkeypatch.setattr(serving, "run_server", lambda options, named, listening, admin: listening.getsockname()[1])
    assert serve.main(Namespace(config=None, listen=address, data=None, trial=False, pods=False)) == int(
        address.rpartition(":")[2]
    )
    assert os.environ.get("LISTEN_FDS") is None
