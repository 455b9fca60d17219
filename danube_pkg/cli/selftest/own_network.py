"""An HTTP server on loopback that belongs to a self-test: a Git repository for jobs, and a witness to which each run of
a danubefile reports. It can be broken, and only what connects to it notices."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from dulwich import porcelain
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import GunzipFilter, HTTPGitApplication, LimitedInputFilter

REPOSITORY = "/application.git"

AUTHOR = b"Danube selftest <selftest@danube.invalid>"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Broken(StrEnum):
    """How the network is broken. refuse: new connections are closed. stall: they are accepted and nothing comes. cut:
    connections are closed in the middle, and new ones too."""

    REFUSE = "refuse"
    STALL = "stall"
    CUT = "cut"


class OwnNetwork(ThreadingMixIn, WSGIServer):
    """Serves until `close`. reported: by job and place, the scripts that reported from there."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, repository: Path) -> None:
        self._repaired = threading.Event()
        self._repaired.set()
        self._broken: Broken | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.reported: dict[str, dict[str, set[str]]] = {}
        super().__init__(("127.0.0.1", 0), _Quiet)
        served: dict[str, BackendRepo] = {REPOSITORY: Repo(str(repository))}
        git = HTTPGitApplication(DictBackend(served))
        self._git: Application = GunzipFilter(LimitedInputFilter(git))
        self.set_app(self._answer)
        self._thread = threading.Thread(target=self.serve_forever, name="selftest network", daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """As the base class, which resolves a host name too."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    @property
    def address(self) -> str:
        """`HOST:PORT`."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def repository_url(self) -> str:
        return f"http://{self.address}{REPOSITORY}"

    def close(self) -> None:
        """End the server; connections that wait are closed."""
        self.repair()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def damage(self, how: Broken) -> None:
        """Break the network until `repair`."""
        with self._lock:
            self._broken = how
            self._repaired.clear()
            connections = list(self._connections) if how is Broken.CUT else []
        for connection in connections:
            with contextlib.suppress(OSError):  # it has ended
                connection.shutdown(socket.SHUT_RDWR)

    def repair(self) -> None:
        """Let everything connect again."""
        with self._lock:
            self._broken = None
        self._repaired.set()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Called for each connection; False closes it."""
        return self._broken in (None, Broken.STALL)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In a thread of its own. A stalled connection gets its answer when the network is repaired."""
        with self._tracked(request):
            self._repaired.wait()
            super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is what a self-test wants; nothing is printed."""

    @contextmanager
    def _tracked(self, request: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.add(request)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(request)

    def _answer(self, environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = str(environment["PATH_INFO"])
        if not path.startswith("/ran/"):
            return self._git(environment, start)
        job, what, script = path.removeprefix("/ran/").split("/")
        with self._lock:
            self.reported.setdefault(job, {}).setdefault(what, set()).add(script)
        start("204 No Content", [])
        return ()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed for a request."""


def make_repository(directory: Path, files: Mapping[str, str]) -> None:
    """A Git repository with one commit on its default branch."""
    directory.mkdir(parents=True)
    with contextlib.closing(porcelain.init(str(directory))) as repository:
        for name, text in files.items():
            (directory / name).write_text(text)
        porcelain.add(repository, [str(directory / name) for name in files])
        porcelain.commit(repository, message=b"selftest", author=AUTHOR, committer=AUTHOR)
