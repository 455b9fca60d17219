"""Attempts of a step to open raw sockets are denied and reported to the pod's proxy; nothing else changes."""

import json
import os
import re
import socket
import sys
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
"""Attempts; a report for each would be as many connections."""

PYTHON = f"{sys.executable} -I -S"
"""Not the first python3 on the path, which may be a script that looks for one, and without packages, so that it
starts fast."""

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
    """A pod's proxy as the supervisor sees it: it accepts connections and reads reports."""

    def __init__(self) -> None:
        self.address = address_of_step(3)
        self._listening = socket.create_server((self.address, 0))
        self.url = f"http://{self.address}:{self._listening.getsockname()[1]}"
        self.reported: list[int] = []
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
                with connection.makefile("rb") as stream:
                    found = REPORT.fullmatch(stream.read())
                self.reported.append(int(found[1]) if found else -1)

    def wait_reported(self, attempts: int) -> None:
        wait_until(
            lambda: sum(self.reported) >= attempts, SECONDS, f"{attempts} reported attempts, not {self.reported}"
        )
        assert sum(self.reported) == attempts

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
    return spec(
        f"exec {PYTHON} - <<'END'\n{program}\nEND", step_id, environment={"HTTPS_PROXY": proxy} if proxy else {}
    )


def test_each_kind_of_raw_socket_is_denied_and_reported(box: Box, proxy: Proxy) -> None:
    output, record = box.end(python(ALL_KINDS, proxy.url))
    assert (output, record.exit_code) == (b"EPERM EPERM EPERM EPERM EPERM\n", 0)
    proxy.wait_reported(5)
    assert proxy.reported[0] == 1  # before the program continues


def test_other_sockets_are_made_and_not_reported(box: Box, proxy: Proxy) -> None:
    kinds = (
        "print(*(ask(*one) for one in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM),\n"
        "    (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_RAW), (socket.AF_NETLINK, socket.SOCK_RAW))))\n"
        "print(ask(socket.AF_INET, socket.SOCK_RAW, 1))"
    )
    assert box.end(python(ASK + kinds, proxy.url))[0] == b"made made made made made\nEPERM\n"
    proxy.wait_reported(1)


def test_a_storm_of_attempts_is_counted_and_rarely_reported(box: Box, proxy: Proxy) -> None:
    """The output of another step is not delayed meanwhile."""
    storm = f"print('started', flush=True)\nfor _ in range({STORM}): assert ask(socket.AF_INET, socket.SOCK_RAW, 1) == 'EPERM'"
    storming = box.run(python(ASK + storm, proxy.url, "storm"))
    storming.read_until(b"started")
    assert box.end(spec("seq 100000 | tail -1", "other"))[0] == b"100000\n"
    storming.frames_to_end()
    proxy.wait_reported(STORM)
    _, record = box.end(spec(None, "storm"))
    assert record.exit_code == 0
    assert len(proxy.reported) <= 2 + record.wall_us // 1_000_000


def test_attempts_of_descendants_are_reported_at_the_end(box: Box, proxy: Proxy) -> None:
    """Grandchildren with sessions of their own."""
    once = ASK + "ask(socket.AF_INET, socket.SOCK_RAW, 1)"
    command = f"cat > /tmp/raw-$$.py <<'END'\n{once}\nEND\nfor i in 1 2 3; do (setsid {PYTHON} /tmp/raw-$$.py); done; rm /tmp/raw-$$.py"
    assert box.end(spec(command, environment={"HTTPS_PROXY": proxy.url}))[1].exit_code == 0
    proxy.wait_reported(3)


def test_a_step_that_is_killed_amid_its_attempts_ends(box: Box, proxy: Proxy) -> None:
    forever = ASK + "print('started', flush=True)\nwhile True: ask(socket.AF_INET, socket.SOCK_RAW, 1)"
    follow = box.run(python(forever, proxy.url))
    follow.read_until(b"started")
    box.run(spec(None), kill=True).frames_to_end()
    follow.frames_to_end()
    _, record = box.end(spec(None))
    assert (record.killed, record.signal) == (True, 15)


def test_raw_sockets_are_denied_to_a_step_that_killed_its_reaper(box: Box, proxy: Proxy) -> None:
    output, record = box.end(python("import os; os.kill(-1, 9)" + ALL_KINDS, proxy.url))
    assert (output, record.exit_code) == (b"EPERM EPERM EPERM EPERM EPERM\n", 0)
    proxy.wait_reported(5)
    assert box.end(spec("echo on", "s2"))[0] == b"on\n"


@pytest.mark.parametrize(
    "url", [None, "http://proxy.example:3128", "http://127.1.0.3:1", "http://10.0.0.1:80", "http://127.1.0.3:80/x"]
)
def test_raw_sockets_are_denied_without_a_proxy(box: Box, url: str | None) -> None:
    output, record = box.end(python(ALL_KINDS, url))
    assert (output, record.exit_code) == (b"EPERM EPERM EPERM EPERM EPERM\n", 0)


def test_the_filter_changes_no_descriptor_and_no_status_of_a_command(box: Box, proxy: Proxy) -> None:
    """The command can see an additional filter and nothing else."""
    program = (
        "import json, os, re\n"
        "status = dict(re.findall(r'(\\w+):[ \\t]*(.*)', open('/proc/self/status').read()))\n"
        "names = ('NoNewPrivs', 'CapEff', 'CapBnd', 'Uid', 'Groups', 'SigBlk', 'SigIgn', 'Speculation_Store_Bypass')\n"
        "print(json.dumps([sorted(set(os.listdir('/proc/self/fd')) - {'0', '1', '2', '3'}), {n: status.get(n) for n in names},\n"
        "    sorted(set(os.environ) - {'HTTPS_PROXY'})]))\n"
    )
    command = f'{PYTHON} -c "$PROGRAM"'
    with_it, without = (
        json.loads(box.end(spec(command, step_id, environment={"PROGRAM": program, **given}))[0])
        for step_id, given in (("with", {"HTTPS_PROXY": proxy.url}), ("without", {}))
    )
    assert with_it == without


def test_the_supervisor_keeps_no_descriptor_of_an_ended_step(box: Box, proxy: Proxy) -> None:
    def held() -> int:
        return len(os.listdir(Path(f"/proc/{box.init_pid}/fd")))

    box.end(spec("true", "first"))
    before = held()
    for number in range(5):
        box.end(python(ASK + "ask(socket.AF_INET, socket.SOCK_RAW, 1)", proxy.url, f"s{number}"))
    wait_until(lambda: held() <= before, SECONDS, "the descriptors to be closed")
