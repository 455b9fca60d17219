"""`danube-step reach`: which ports a container can connect to."""

import socket
import subprocess

import pytest

from build_steps.supervisor import build_supervisor
from danube_pkg.core.egress.canaries import Canaries, Reach


def reach(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([build_supervisor("danube-step"), "reach", *words], capture_output=True, check=False)


def test_open_and_closed_and_silent_ports_are_distinguished() -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_port, socket.create_server(("127.0.0.1", 0)) as full:
        full.listen(0)
        target, silent = (f"127.0.0.1:{one.getsockname()[1]}" for one in (open_port, full))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            refused = f"127.0.0.1:{closed.getsockname()[1]}"
        waiting = [socket.socket() for _ in range(8)]  # a full queue of connections drops further ones
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        canaries = Canaries((refused, silent), target)
        ended = reach("300", *canaries.argv()[3:])
        for one in waiting:
            one.close()
    assert ended.returncode == 0
    found = canaries.observe(ended.stdout)
    assert (found.canaries[refused], found.canaries[silent], found.control) == (Reach.REFUSED, Reach.SILENT, Reach.OPEN)
    assert found.is_enforced


def test_addresses_of_both_families_are_understood() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        target = f"[::1]:{listening.getsockname()[1]}"
        assert reach("1000", target).stdout == f"{target} open\n".encode()


@pytest.mark.parametrize(
    "words",
    [("100",), ("x", "127.0.0.1:1"), ("0", "127.0.0.1:1"), ("100", "localhost:1"), ("100", "127.0.0.1"),
     ("100", "127.0.0.1:0"), ("100", "127.0.0.1:65536"), ("100", "::1:1"), ("100", *["127.0.0.1:1"] * 33)],
)  # fmt: skip
def test_other_words_are_refused(words: tuple[str, ...]) -> None:
    ended = reach(*words)
    assert (ended.returncode, ended.stdout) == (2, b"")
