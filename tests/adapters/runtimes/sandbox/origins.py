"""A real HTTPS server for common clients: files from memory, and Git repositories by `git http-backend`."""

import gzip
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Origin(ThreadingHTTPServer):
    """files: path → content. repositories: the directory that `git http-backend` serves below /git/."""

    daemon_threads = True
    files: Mapping[str, bytes]
    repositories: Path

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that disconnects is not an error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def do_GET(self) -> None:
        if self.path.startswith("/git/"):
            self._git(b"")
            return
        path = urlsplit(self.path).path
        content = self.server.files.get(path.replace("/./", "/"))
        kind = {"Content-Type": "text/html"} if path.endswith("/") else {}
        self._answer(404 if content is None else 200, kind, content or b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self._git(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)

    def _git(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        answer = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env={
                "PATH": os.defpath,
                "GIT_PROJECT_ROOT": str(self.server.repositories),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": parts.path.removeprefix("/git"),
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            },
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._answer(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read the ledger instead."""


@contextmanager
def serving(files: dict[str, bytes], repositories: Path, context: ssl.SSLContext | None) -> Iterator[Origin]:
    """A server on the loopback in threads of its own; `files` may be filled afterwards. Its port is `server_port`."""
    origin = Origin(("127.0.0.1", 0), _Handler)
    origin.files, origin.repositories = files, repositories
    if context is not None:
        origin.socket = context.wrap_socket(origin.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=origin.serve_forever, name="origin")
    thread.start()
    try:
        yield origin
    finally:
        origin.shutdown()
        thread.join()
        origin.server_close()
