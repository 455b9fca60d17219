"""Raw sockets that a step asks for are refused and told to the pod's proxy; nothing else of a step is other for that."""

import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.core.egress.policy import address_of_step
from danube_pkg.core.runtimes.supervisor import StepSpec
from tests.supervisor.box import SECONDS, Box, spec
from tests.support.waiting import wait_until

REPORT = re.compile(rb"REPORT raw-socket HTTP/1\.1\r\nHost: danube\r\nAttempts: ([0-9]+)\r\n\r\n")
STORM = 30_000
"""Attempts; one by one they would be as many reports."""

ASK = """
import errno, socket, sys
def ask(family, kind, protocol=0):
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "made"
"""
ALL_KINDS = ASK + (
    "print(ask(socket.AF_INET, socket.SOCK_RAW, 1), ask(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 58),\n"
    "      ask(socket.AF_PACKET, socket.SOCK_RAW, 768), ask(socket.AF_PACKET, socket.SOCK_DGRAM), ask(socket.AF_INET, 10, 768))\n"
)


class Proxy:
    """What a pod's proxy is to a supervisor: somebody who accepts and reads."""

    def __init__(self) -> None:
        self.address = address_of_step(3)
        self._listening = socket.create_server((self.address, 0))
        self.url = f"http://{self.address}:{self._listening.getsockname()[1]}"
        self.told: list[int] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                assert connection.getsockname()[0] == self.address
                connection.settimeout(SECONDS)
                with connection.makefile("rb") as said:
                    found = REPORT.fullmatch(said.read())
                self.told.append(int(found[1]) if found else -1)

    def wait_told(self, attempts: int) -> None:
        wait_until(lambda: sum(self.told) >= attempts, SECONDS, f"{attempts} attempts to be told of, not {self.told}")
        assert sum(self.told) == attempts

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(SECONDS)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


def python(program: str, proxy: str | None, step_id: str = "s1") -> StepSpec:
    return spec(f"exec python3 - <<'END'\n{program}\nEND", step_id, environment={"HTTPS_PROXY": proxy} if proxy else {})


def test_each_kind_of_raw_socket_is_refused_and_told_of(box: Box, proxy: Proxy) -> None:
    output, record = box.end(python(ALL_KINDS, proxy.url))
    assert (output, record.exit_code) == (b"EPERM EPERM EPERM EPERM EPERM\n", 0)
    proxy.wait_told(5)
    assert proxy.told[0] == 1  # before the program goes on


def test_other_sockets_are_made_and_not_told_of(box: Box, proxy: Proxy) -> None:
    kinds = (
        "print(*(ask(*one) for one in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM),\n"
        "    (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_RAW), (socket.AF_NETLINK, socket.SOCK_RAW))))\n"
        "print(ask(socket.AF_INET, socket.SOCK_RAW, 1))"
    )
    assert box.end(python(ASK + kinds, proxy.url))[0] == b"made made made made made\nEPERM\n"
    proxy.wait_told(1)


def test_a_storm_of_attempts_is_counted_and_told_of_seldom(box: Box, proxy: Proxy) -> None:
    """While another step's output comes as ever."""
    storm = f"print('begun', flush=True)\nfor _ in range({STORM}): assert ask(socket.AF_INET, socket.SOCK_RAW, 1) == 'EPERM'"
    storming = box.run(python(ASK + storm, proxy.url, "storm"))
    storming.read_until(b"begun")
    assert box.end(spec("seq 100000 | tail -1", "other"))[0] == b"100000\n"
    storming.frames_to_end()
    proxy.wait_told(STORM)
    _, record = box.end(spec(None, "storm"))
    assert record.exit_code == 0
    assert len(proxy.told) <= 2 + record.wall_us // 1_000_000


def test_what_a_step_leaves_behind_is_told_of_at_its_end(box: Box, proxy: Proxy) -> None:
    """Attempts of grandchildren, and of who has a session of its own."""
    once = ASK + "ask(socket.AF_INET, socket.SOCK_RAW, 1)"
    command = f"cat > /tmp/raw-$$.py <<'END'\n{once}\nEND\nfor i in 1 2 3; do (setsid python3 /tmp/raw-$$.py); done; rm /tmp/raw-$$.py"
    assert box.end(spec(command, environment={"HTTPS_PROXY": proxy.url}))[1].exit_code == 0
    proxy.wait_told(3)


def test_a_step_that_is_killed_amid_its_attempts_ends(box: Box, proxy: Proxy) -> None:
    for_ever = ASK + "print('begun', flush=True)\nwhile True: ask(socket.AF_INET, socket.SOCK_RAW, 1)"
    follow = box.run(python(for_ever, proxy.url))
    follow.read_until(b"begun")
    box.run(spec(None), kill=True).frames_to_end()
    follow.frames_to_end()
    _, record = box.end(spec(None))
    assert (record.killed, record.signal) == (True, 15)


def test_a_step_that_kills_its_reaper_is_refused_as_before(box: Box, proxy: Proxy) -> None:
    output, record = box.end(python("import os; os.kill(-1, 9)" + ALL_KINDS, proxy.url))
    assert (output, record.exit_code) == (b"EPERM EPERM EPERM EPERM EPERM\n", 0)
    proxy.wait_told(5)
    assert box.end(spec("echo on", "s2"))[0] == b"on\n"


@pytest.mark.parametrize(
    "url", [None, "http://proxy.example:3128", "http://127.1.0.3:1", "http://10.0.0.1:80", "http://127.1.0.3:80/x"]
)
def test_without_a_proxy_they_are_refused_all_the_same(box: Box, url: str | None) -> None:
    output, record = box.end(python(ALL_KINDS, url))
    assert (output, record.exit_code) == (b"EPERM EPERM EPERM EPERM EPERM\n", 0)


def test_descriptors_and_status_of_a_command_are_what_they_were(box: Box, proxy: Proxy) -> None:
    """One filter more is all that it can see."""
    look = (
        "import json, os, re\n"
        "status = dict(re.findall(r'(\\w+):[ \\t]*(.*)', open('/proc/self/status').read()))\n"
        "names = ('NoNewPrivs', 'CapEff', 'CapBnd', 'Uid', 'Groups', 'SigBlk', 'SigIgn', 'Speculation_Store_Bypass')\n"
        "print(json.dumps([sorted(set(os.listdir('/proc/self/fd')) - {'0', '1', '2', '3'}), {n: status.get(n) for n in names},\n"
        "    sorted(set(os.environ) - {'HTTPS_PROXY'})]))\n"
    )
    command = 'python3 -c "$LOOK"'
    with_it, without = (
        json.loads(box.end(spec(command, step_id, environment={"LOOK": look, **given}))[0])
        for step_id, given in (("with", {"HTTPS_PROXY": proxy.url}), ("without", {}))
    )
    assert with_it == without


def test_the_supervisor_keeps_no_descriptor_of_an_ended_step(box: Box, proxy: Proxy) -> None:
    def held() -> int:
        return len(os.listdir(Path(f"/proc/{box.init_pid}/fd")))

    box.end(spec("true", "first"))
    before = held()
    for number in range(20):
        box.end(python(ASK + "ask(socket.AF_INET, socket.SOCK_RAW, 1)", proxy.url, f"s{number}"))
    wait_until(lambda: held() <= before, SECONDS, "the descriptors to be closed")
