"""Programs that start in another unit than the server: danube-ns as `launcher` and as `launch`."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import Pods, settings_of
from tests.fakes.egress import NoProxies
from tests.fakes.images import NoImages

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[2]), 3)
os.closerange(4, 256)
os.execve(sys.argv[1], [sys.argv[1], "launcher"], {"OF_THE_LAUNCHER": "yes", "LISTEN_PID": str(os.getpid())})
"""
"""sd_listen_fds(3): the socket is descriptor 3, and LISTEN_PID names the process that it is for."""


class Launcher:
    """A launcher in a session and an environment of its own. path: its socket."""

    def __init__(self, directory: Path) -> None:
        self.program, self.path = str(build_supervisor("danube-ns")), directory / "pods.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(str(self.path))
            listening.listen(16)
            words = [sys.executable, "-I", "-S", "-c", AS_SYSTEMD, self.program, str(listening.fileno())]
            self.process = subprocess.Popen(words, pass_fds=[listening.fileno()], start_new_session=True)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def launch(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [self.program, "launch", str(self.path), "--", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload]


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher(tmp_path)
    yield made
    made.close()


def test_a_program_has_the_callers_words_environment_umask_and_code(launcher: Launcher) -> None:
    script = 'umask; pwd; export -p; for word in "$@"; do echo "<$word>"; done; echo error >&2; exit 7'
    done = launcher.launch("/bin/sh", "-c", script, "sh", "two words", "", env={"OF_THE_CALLER": "a=b"}, umask=0o027)
    assert done.returncode == 7
    lines = done.stdout.splitlines()
    assert (lines[0], lines[1], lines[-2:]) == ("0027", "/", ["<two words>", "<>"])
    assert "export OF_THE_CALLER='a=b'" in lines
    assert "OF_THE_LAUNCHER" not in done.stdout
    assert "LISTEN_PID" not in done.stdout
    assert done.stderr == "error\n"


def test_a_program_belongs_to_the_launcher_and_has_the_callers_descriptors_alone(launcher: Launcher) -> None:
    script = "import os; print([one for one in range(256) if os.path.exists(f'/dev/fd/{one}')], os.getsid(0), os.read(60, 99))"
    reading, writing = os.pipe()
    os.dup2(reading, 60)
    os.write(writing, b"of the caller")
    os.close(writing)
    try:
        done = launcher.launch(sys.executable, "-I", "-S", "-c", script, pass_fds=[60])
    finally:
        os.close(60)
        os.close(reading)
    assert done.stdout == f"[0, 1, 2, 60] {launcher.process.pid} b'of the caller'\n", done.stderr


def test_a_program_that_is_killed_or_missing_is_reported(launcher: Launcher) -> None:
    assert launcher.launch("/bin/sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = launcher.launch("/does/not/exist")
    assert (missing.returncode, missing.stderr) == (1, "danube-ns: exec /does/not/exist: No such file or directory\n")


def test_an_invalid_request_is_dropped_and_the_launcher_continues(launcher: Launcher) -> None:
    for message, files in ((b"", []), (b"x", []), (b"xx", [0]), (b"x", [0])):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(60)
            client.connect(str(launcher.path))
            socket.send_fds(client, [message], [os.open("/dev/null", os.O_RDONLY) for _ in files])
            assert client.recv(16) == b""
    assert launcher.launch("/bin/true").returncode == 0


def test_without_a_launcher_it_says_what_to_start(launcher: Launcher) -> None:
    launcher.close()
    done = launcher.launch("/bin/true")
    assert done.returncode == 1
    assert "systemctl start danube-pods.socket" in done.stderr
    alone = subprocess.run([launcher.program, "launcher"], capture_output=True, text=True, env={}, check=False)
    assert (alone.returncode, "systemd passed no socket" in alone.stderr) == (2, True)


async def test_a_pod_starts_in_the_launcher_and_its_commands_run(launcher: Launcher, tmp_path: Path) -> None:
    settings = replace(settings_of(tmp_path / "data"), pod_launcher=launcher.path)
    runtime = SandboxRuntime(settings, NoImages(), NoProxies())
    pods = Pods(settings.data_dir, runtime)
    try:
        async with asyncio.timeout(60):
            coordinator, worker = await pods.pod()
            assert await pods.shell(worker, "echo of the pod; umask") == (0, b"of the pod\n0022\n")
            for container in (coordinator, worker):
                assert await pods.shell(container, "exit 3") == (3, b"")
    finally:
        for state in await runtime.list_pods():
            await runtime.delete_pod(state.pod_id)
        await runtime.close()
