"""One connection: h11 holds the protocol, this feeds it bytes and bounds everything a stranger could stretch."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from danube_pkg.core.access import Actor
from danube_pkg.core.errors import DanubeError, Defect, Invalid, TooLarge
from danube_pkg.edges.http.messages import Request, Response, problem

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 30.0
"""For a request's head, also between two requests: a slow client holds a connection, never more."""

WRITE_SECONDS = 60.0
"""A reader that takes nothing for so long is gone."""

READ_BYTES = 64 * 1024

Handle = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("danube.http")


class Connection:
    """Serves requests one after the other until either side closes."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, actor: Actor, handle: Handle
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._actor = actor
        self._handle = handle
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)

    async def serve(self) -> None:
        try:
            while await self._serve_one():
                self._h11.start_next_cycle()
        except (ConnectionError, TimeoutError) as error:
            _log.debug("connection-lost", extra={"fields": {"cause": str(error)}})
        finally:
            self._writer.close()

    async def _serve_one(self) -> bool:
        """True when the connection can take another request."""
        request_id = secrets.token_hex(8)
        started = time.monotonic()
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                event = await self._next_event()
            if not isinstance(event, h11.Request):
                return False
            request = self._request(event, request_id)
            response = await self._respond(request)
        except h11.RemoteProtocolError as error:
            refusal = Invalid("bad-request", "this is not an HTTP/1.1 request", cause=str(error))
            response, request = problem(refusal, request_id, error.error_status_hint), None
        await self._send(response, request_id, request)
        if request is not None:
            took_ms = round((time.monotonic() - started) * 1000, 1)
            fields = {"method": request.method, "path": request.path, "status": response.status, "ms": took_ms}
            _log.info("request", extra={"fields": {**fields, "request_id": request_id, "actor": request.actor.name}})
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def _request(self, event: h11.Request, request_id: str) -> Request:
        parts = urlsplit(event.target.decode("ascii", errors="replace"))
        return Request(
            method=event.method.decode("ascii"),
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.decode(): value.decode("latin-1") for name, value in event.headers},
            actor=self._actor,
            request_id=request_id,
            read_body=self._read_body,
        )

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._handle(request)
        except DanubeError as error:
            return problem(error, request.request_id)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:  # noqa: BLE001 - a bug answers its request, and the server goes on
            _log.exception("request-failed", extra={"fields": {"path": request.path, "request_id": request.request_id}})
            return problem(Defect("internal-error", "the server failed; its log has the reason"), request.request_id)

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                self._writer.write(self._h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            self._h11.receive_data(await self._reader.read(READ_BYTES))
        return event

    async def _read_body(self, limit_bytes: int) -> bytes:
        data = bytearray()
        async with asyncio.timeout(HEAD_SECONDS):
            while True:
                event = await self._next_event()
                if not isinstance(event, h11.Data):
                    return bytes(data)
                data += event.data
                if len(data) > limit_bytes:
                    raise TooLarge("body-too-large", f"the body is larger than {limit_bytes} bytes")

    async def _send(self, response: Response, request_id: str, request: Request | None) -> None:
        headers = [*response.headers, ("x-request-id", request_id), ("cache-control", "no-store")]
        body = response.body
        if isinstance(body, bytes):
            headers.append(("content-length", str(len(body))))
        if self._h11.their_state is h11.SEND_BODY:
            headers.append(("connection", "close"))  # what is left of the body is not read
        self._write(h11.Response(status_code=response.status, headers=headers))
        if isinstance(body, bytes):
            self._write(h11.Data(data=body))
            await self._drain()
        else:
            await self._send_stream(body)
        self._write(h11.EndOfMessage())
        await self._drain()
        if request is None:
            self._writer.close()

    async def _send_stream(self, body: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in body:
                self._write(h11.Data(data=chunk))
                await self._drain()
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()

    def _write(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            self._writer.write(data)

    async def _drain(self) -> None:
        async with asyncio.timeout(WRITE_SECONDS):
            await self._writer.drain()
