"""A server before a registry that spoils what passes: cuts answers, asks to wait, fails, redirects. Hand-written, on the loopback."""

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """What the puller asked."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What happens instead of the registry's answer. after_bytes: its answer is cut there; else status and headers are sent."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_bytes: int = -1


Spoil = Callable[[Request], Fault | None]


@dataclass
class Spoiled:
    """The server. seen: every request, in order. spoil: what to do with one; None lets it pass."""

    host: str
    behind: str
    spoil: Spoil
    seen: list[Request] = field(default_factory=list)

    def count(self, part: str) -> int:
        """How many requests had this in their path."""
        return sum(part in request.path for request in self.seen)


def times(count: int, fault: Fault, part: str = "/") -> Spoil:
    """That fault for the first requests whose path has a part."""
    left = [count]
    lock = threading.Lock()

    def spoil(request: Request) -> Fault | None:
        with lock:
            if part not in request.path or left[0] == 0:
                return None
            left[0] -= 1
            return fault

    return spoil


def waits(released: threading.Event, request: Request) -> None:
    """No answer until the test is over with it."""
    released.wait(30)


@contextmanager
def spoiling(behind: str, spoil: Spoil) -> Iterator[Spoiled]:
    """A spoiling server before a registry until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = Request(self.command, self.path, dict(self.headers.items()))
            made.seen.append(request)
            fault = made.spoil(request)
            if fault is not None and fault.status:
                self.answer(fault.status, {**fault.headers, "Content-Length": str(len(fault.body))}, fault.body)
                return
            status, headers, body = self.ask()
            if fault is not None and 0 <= fault.after_bytes < len(body):
                self.answer(status, headers, body[: fault.after_bytes])
                self.close_connection = True
                return
            self.answer(status, headers, body)

        do_HEAD = do_GET

        def ask(self) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(made.behind, timeout=20)
            try:
                passed = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request(self.command, self.path, headers=passed)
                response = connection.getresponse()
                headers = {name: value for name, value in response.getheaders() if name.lower() != "connection"}
                return response.status, headers, response.read()
            finally:
                connection.close()

        def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
                self.wfile.flush()

        def log_message(self, format: str, *words: object) -> None:
            """Nothing: `seen` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Spoiled(f"127.0.0.1:{server.server_address[1]}", behind, spoil)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="spoiling")
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
