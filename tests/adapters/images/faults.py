"""A proxy before a registry that injects faults: truncated responses, rate limits, errors, redirects. On loopback."""

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """A request of the image service."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """Replaces the registry's response, or with `after_bytes` truncates it there."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_bytes: int = -1


FaultOf = Callable[[Request], Fault | None]


@dataclass
class FaultyServer:
    """The proxy. requests: all received, in order. fault_of: the fault for a request; None forwards it."""

    host: str
    behind: str
    fault_of: FaultOf
    requests: list[Request] = field(default_factory=list)

    def count(self, part: str) -> int:
        """The number of requests with this in their path."""
        return sum(part in request.path for request in self.requests)


def times(count: int, fault: Fault, part: str = "/") -> FaultOf:
    """The fault for the first `count` requests whose path contains a part."""
    left = [count]
    lock = threading.Lock()

    def fault_of(request: Request) -> Fault | None:
        with lock:
            if part not in request.path or left[0] == 0:
                return None
            left[0] -= 1
            return fault

    return fault_of


def waits(released: threading.Event, request: Request) -> None:
    """Delays the response until the event is set."""
    released.wait(30)


@contextmanager
def faulty_server(behind: str, fault_of: FaultOf) -> Iterator[FaultyServer]:
    """Runs the proxy before a registry until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = Request(self.command, self.path, dict(self.headers.items()))
            made.requests.append(request)
            fault = made.fault_of(request)
            if fault is not None and fault.status:
                self.answer(fault.status, {**fault.headers, "Content-Length": str(len(fault.body))}, fault.body)
                return
            status, headers, body = self.forward()
            if fault is not None and 0 <= fault.after_bytes < len(body):
                self.answer(status, headers, body[: fault.after_bytes])
                self.close_connection = True
                return
            self.answer(status, headers, body)

        do_HEAD = do_GET

        def forward(self) -> tuple[int, dict[str, str], bytes]:
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
            """Does not log: `requests` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = FaultyServer(f"127.0.0.1:{server.server_address[1]}", behind, fault_of)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="faulty-server")
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
