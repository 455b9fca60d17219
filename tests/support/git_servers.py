"""Real Git servers on loopback: Debian's sshd with keys of its own, and `git http-backend` with basic authentication.

app = repository(path / "app.git", {"README": "hello\\n"})
with SshServer(path) as server: ...server.url(app)...
"""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import free_port
from tests.support.waiting import wait_until

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
    # Nothing here lives long enough to be tidied; each commit and push would start a process that looks.
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "gc.auto",
    "GIT_CONFIG_VALUE_0": "0",
    "GIT_CONFIG_KEY_1": "maintenance.auto",
    "GIT_CONFIG_VALUE_1": "false",
    "GIT_CONFIG_KEY_2": "receive.autogc",
    "GIT_CONFIG_VALUE_2": "false",
}


def git(directory: Path, *words: str) -> str:
    """The output of the host's git, run without any user's configuration."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-c", "protocol.file.allow=always", *words],
        cwd=directory,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return os.fsdecode(done.stdout).strip()


class ServedRepository:
    """A bare repository, and a working tree beside it from which commits are pushed into it."""

    def __init__(self, bare: Path) -> None:
        self.bare = bare
        self.work = bare.with_suffix(".work")
        bare.mkdir(parents=True)
        git(bare, "init", "-q", "--template=", "--bare", "-b", "main")
        self.work.mkdir()
        git(self.work, "init", "-q", "--template=", "-b", "main")
        with (self.work / ".git" / "config").open("a") as config:
            config.write(f'[remote "origin"]\n\turl = {bare}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n')

    def copy(self, bare: Path) -> "ServedRepository":
        """The same commits in another place; a tenth of the time that making them takes."""
        made = object.__new__(ServedRepository)
        made.bare, made.work = bare, bare.with_suffix(".work")
        shutil.copytree(self.bare, made.bare)
        shutil.copytree(self.work, made.work)
        config = made.work / ".git" / "config"
        config.write_text(config.read_text().replace(str(self.bare), str(bare)))
        return made

    def commit(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Write these files (None: remove), commit and push; the commit's hash."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        return self.push()

    def push(self, *words: str) -> str:
        """Push the branch that is checked out; its hash. words: options of `git push`."""
        objects = self.work / ".git" / "objects"
        head = (self.work / ".git" / "HEAD").read_text().strip()
        if words or not head.startswith("ref: ") or list((objects / "pack").iterdir()):
            git(self.work, "push", "-q", *words, "origin", "HEAD")
            return git(self.work, "rev-parse", "HEAD")
        # As git would push to the same disk, but without its six processes.
        for path in objects.glob("??/*"):
            there = self.bare / "objects" / path.relative_to(objects)
            if not there.exists():
                there.parent.mkdir(exist_ok=True)
                there.hardlink_to(path)
        branch = head.removeprefix("ref: ")
        sha = (self.work / ".git" / branch).read_text().strip()
        (self.bare / branch).parent.mkdir(parents=True, exist_ok=True)
        (self.bare / branch).write_text(f"{sha}\n")
        return sha


def make_key(path: Path) -> Path:
    """An ed25519 key pair without a passphrase; the private one's path."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class SshServer:
    """`with SshServer(directory) as server`. protocol_2: accepts Git's newer protocol; by default sshd does not."""

    def __init__(self, directory: Path, *, protocol_2: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.host_key = make_key(directory / "host_key")
        self.key = make_key(directory / "user_key")
        self.authorized = directory / "authorized_keys"
        self.authorize(self.key.with_suffix(".pub").read_text())
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.host_key.with_suffix('.pub').read_text()}")
        self._config = directory / "sshd_config"
        self._config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nAuthorizedKeysFile {self.authorized}\n"
            "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nLogLevel VERBOSE\n"
            + ("AcceptEnv GIT_PROTOCOL\n" if protocol_2 else "")
        )
        self._process: subprocess.Popen[bytes] | None = None

    def authorize(self, public_key: str) -> None:
        with self.authorized.open("a") as file:
            file.write(f"{public_key.strip()}\n")

    def url(self, repository: ServedRepository) -> str:
        return f"ssh://{os.environ.get('USER', 'root')}@127.0.0.1:{self.port}{repository.bare}"

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(self._config)], stderr=log
            )
        wait_until(lambda: answers(self.port), 10, "sshd to answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


Allows = Callable[[str, str], bool]


class HttpServer:
    """`git http-backend` for the repositories below a directory. allows(user, password): None allows all requests.

    on_request: called during each request, before it is answered. moved: for beginnings of paths, the URL to which they
    redirect.
    """

    def __init__(self, root: Path, allows: Allows | None = None) -> None:
        self.root = root
        self.allows = allows
        self.on_request: Callable[[], None] = lambda: None
        self.requests: list[str] = []
        self.moved: dict[str, str] = {}
        self.status = 0
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def url(self, repository: ServedRepository) -> str:
        return f"http://127.0.0.1:{self.port}/{repository.bare.relative_to(self.root)}"

    def start(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.serve(self)

            do_POST = do_PATCH = do_PUT = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="git-http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request with the CGI program, or refuse it."""
        body = read_body(request)
        self.requests.append(f"{request.command} {request.path}")
        self.on_request()
        user, password = login_of(request.headers.get("Authorization", ""))
        if (begin := next((one for one in self.moved if request.path.startswith(one)), None)) is not None:
            answer_request(request, 302, {"Location": self.moved[begin] + request.path.removeprefix(begin)}, b"")
        elif self.status:
            answer_request(request, self.status, {}, b"")
        elif self.allows is not None and not self.allows(user, password):
            answer_request(request, 401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        else:
            answer_request(request, *_backend(self.root, request, body))


def login_of(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    if kind != "Basic":
        return "", ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    parts = []
    while size := int(request.rfile.readline().strip() or b"0", 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)


def _backend(root: Path, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
    path, _, query = request.path.partition("?")
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.command,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(headers.pop("Status", "200").split()[0])
    return status, headers, content


def answer_request(request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], content: bytes) -> None:
    with contextlib.suppress(OSError):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


def command_lines() -> Iterator[tuple[int, bytes]]:
    """(process id, arguments and environment) of every process whose files this one may read."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
