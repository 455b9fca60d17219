"""deploy/install.sh, with a release on loopback and a program that writes down how it was run."""

import contextlib
import functools
import hashlib
import os
import platform
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SCRIPT = Path(__file__).parents[2] / "deploy" / "install.sh"
PROGRAM = f"danube-linux-{platform.machine()}"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """The test's output is what counts."""


class Published:
    """A release in a directory, and a machine whose `id` says that its user is root."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = path / "release"
        self.files.mkdir()
        (path / "tmp").mkdir()
        (path / "bin").mkdir()
        self.log = path / "log"
        self.tool("id", "echo 0")
        self.key = Ed25519PrivateKey.generate()
        (path / "key.pem").write_bytes(
            self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        (self.files / PROGRAM).write_text(f'#!/bin/sh\necho "ran $*" >>{self.log}\n')
        self.sign()

    def tool(self, name: str, text: str) -> None:
        (self.path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.path / "bin" / name).chmod(0o755)

    def sign(self) -> None:
        digest = hashlib.sha256((self.files / PROGRAM).read_bytes()).hexdigest()
        sums = f"{'0' * 64}  another\n{digest}  {PROGRAM}\n".encode()
        (self.files / "SHA256SUMS").write_bytes(sums)
        (self.files / "SHA256SUMS.sig").write_bytes(self.key.sign(sums))

    def run(self, script: bytes, url: str, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}",
            "DANUBE_URL": url,
            "DANUBE_KEY": str(self.path / "key.pem"),
            "TMPDIR": str(self.path / "tmp"),
            **variables,
        }
        done = subprocess.run(
            ["sh", "-s", "--", *words], input=script, capture_output=True, env=environment, check=False
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    @property
    def ran(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path)


@pytest.fixture
def url(published: Published) -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=str(published.files))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.closing(Shutdown(server, thread)):
            yield f"http://127.0.0.1:{server.server_port}"


class Shutdown:
    """Ends a server and its thread."""

    def __init__(self, server: ThreadingHTTPServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()


def test_a_verified_program_installs_itself(published: Published, url: str) -> None:
    done = published.run(SCRIPT.read_bytes(), url, "--yes", "--data", "/srv/danube")
    assert (done.returncode, done.stderr) == (0, "")
    assert published.ran == "ran install --yes --data /srv/danube\n"
    assert list((published.path / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", [PROGRAM, "SHA256SUMS", "SHA256SUMS.sig"])
def test_nothing_that_was_changed_is_run(published: Published, url: str, name: str) -> None:
    content = (published.files / name).read_bytes()
    for wrong in (content[:-1], content + b" ", b""):
        (published.files / name).write_bytes(wrong)
        done = published.run(SCRIPT.read_bytes(), url)
        assert (done.returncode, published.ran) == (1, "")
        assert "do not install what you have" in done.stderr
    assert list((published.path / "tmp").iterdir()) == []


def test_another_key_is_refused(published: Published, url: str) -> None:
    published.key = Ed25519PrivateKey.generate()
    published.sign()
    assert "the signature of SHA256SUMS is wrong" in published.run(SCRIPT.read_bytes(), url).stderr
    assert published.ran == ""


def test_a_script_that_was_cut_off_runs_nothing(published: Published) -> None:
    """At the end of each line, and at each of the last bytes. Each program that it could run is one that says so."""
    script = SCRIPT.read_bytes().rstrip(b"\n")
    for tool in ("id", "uname", "mktemp", "curl", "wget", "openssl", "cp", "chmod", "rm"):
        published.tool(tool, f"echo {tool} >>{published.log}")
    ends = [index for index, byte in enumerate(script) if byte == ord("\n")]
    for end in [*ends, *range(len(script) - len('main "$@"'), len(script) - len(' "$@"'))]:
        published.run(script[:end], "http://127.0.0.1:9")
        assert published.ran == "", script[:end][-80:]


@pytest.mark.parametrize(
    ("tool", "answer", "expected"),
    [
        ("id", "echo 1000", "run it with sudo"),
        ("uname", "echo Darwin", "Danube needs Linux"),
        ("uname", "test $1 = -s && echo Linux || echo riscv64", "there is no Danube for riscv64"),
        ("openssl", "echo OpenSSL 1.1.1", "OpenSSL 3 or newer"),
    ],
)
def test_a_machine_that_cannot_have_it_gets_a_hint(
    published: Published, url: str, tool: str, answer: str, expected: str
) -> None:
    published.tool(tool, answer)
    done = published.run(SCRIPT.read_bytes(), url)
    assert done.returncode == 1
    assert expected in done.stderr
    assert published.ran == ""


def test_what_is_missing_is_named(published: Published, url: str) -> None:
    assert "DANUBE_URL" in published.run(SCRIPT.read_bytes(), "").stderr
    assert "DANUBE_KEY" in published.run(SCRIPT.read_bytes(), url, DANUBE_KEY="").stderr
    (published.files / PROGRAM).unlink()
    assert "cannot be downloaded" in published.run(SCRIPT.read_bytes(), url).stderr
