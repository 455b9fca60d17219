"""An HTTP server on loopback that sends the bytes that a test gives it, valid or not. It records every request."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReceivedRequest:
    """target: as in the request line, so a whole URL at a proxy. headers: names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ScriptedServer:
    """respond: the bytes for a request; None leaves it without a response. The connection is closed after each one."""

    respond: Callable[[ReceivedRequest], bytes | None]
    host: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == b"\x16":  # a TLS handshake, which a server of plain HTTP does not understand
                writer.write(http_response(400))
                return
            request = await _read_request(first, reader)
            self.requests.append(request)
            response = self.respond(request)
            if response is None:
                await reader.read()  # until the client gives up
            else:
                writer.write(response)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client did not send a request, or does not read the response
        finally:
            writer.close()


def http_response(status: int = 200, body: bytes = b"", *headers: tuple[str, str]) -> bytes:
    """A whole response."""
    fields = [("Connection", "close"), ("Content-Length", str(len(body))), *headers]
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def scripted_http(
    respond: Callable[[ReceivedRequest], bytes | None], tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Listens on a free port until the block ends."""
    made = ScriptedServer(respond)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


async def _read_request(first: bytes, reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body)
