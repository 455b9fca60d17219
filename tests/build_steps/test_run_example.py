"""`make run`: a server with the example, its job, and a clean end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
VALUE = "a-value-that-must-not-be-written-down"
SECONDS = 120

PROGRAM = f"""
import secrets, sys
secrets.token_urlsafe = lambda _: {VALUE!r}
from build_steps.run_example import main
sys.exit(main())
"""
"""Runs the example with a secret that the test knows."""


@contextmanager
def example(data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--data", str(data), *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS)


def printed_until(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if re.search(pattern, line):
            return printed
    raise AssertionError(f"it ended before {pattern!r}:\n{printed}")


def processes_of(data: Path) -> list[str]:
    """The command lines of all processes that contain the data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
        if str(data) in words:
            found.append(words)
    return found


def test_once_ends_green_with_an_artifact_and_leaves_no_process_and_no_secret(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with example(data, "--once") as process:
        printed, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, printed
    assert "Hello from Danube" in printed
    assert len(list((data / "artifacts").glob("*/greeting.tar.gz"))) == 1
    assert processes_of(data) == []
    assert [path for path in data.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()] == []
    assert list((data / "pods").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_it_serves_until_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "data"
    with example(data) as process:
        printed = printed_until(process, "Ctrl-C stops it")
        address = re.search(r"http://([\d.]+):(\d+)", printed)
        assert address, printed
        said = printed + printed_until(process, "another job")
        login = re.search(r"log in as (\S+) with the password (\S+)", said)
        assert login, said
        body = json.dumps({"email": login[1], "password": login[2]}).encode()
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{address[0]}/auth/password", body, headers)
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
            assert answer.status == 204
        process.send_signal(number)
        process.wait(SECONDS)
    assert process.returncode == (0 if number is signal.SIGINT else 128 + number)
    assert processes_of(data) == []


@pytest.mark.long
def test_another_port_is_used_where_its_own_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            taken.close()  # another program has taken it, which serves as well
        with example(tmp_path / "data") as process:
            printed = printed_until(process, "Ctrl-C stops it")
    assert "127.0.0.1:8080" not in printed


@pytest.mark.long
def test_a_server_that_cannot_start_is_reported_with_its_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with example(data) as first:
        printed_until(first, "Ctrl-C stops it")
        with example(data) as second:
            printed, _ = second.communicate(timeout=SECONDS)
        assert second.returncode == 3
        assert "another process uses" in printed
        assert first.poll() is None, "the first one continues"


@pytest.mark.long
def test_a_clone_needs_one_command(tmp_path: Path) -> None:
    """`make run` in a fresh clone makes the environment, the supervisor and the page, and runs the example."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "danube")], check=True)
    clone = tmp_path / "danube"
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "VIRTUAL_ENV")}
    done = subprocess.run(
        ["make", "run", "ONCE=1"], cwd=clone, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((clone / ".danube" / "artifacts").glob("*/greeting.tar.gz"))
    wait_until(lambda: processes_of(clone / ".danube") == [], SECONDS, "every process to be gone")
    shutil.rmtree(clone)
