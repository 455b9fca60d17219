"""The API from the command line: HTTP over a unix socket or to a server elsewhere, errors as the objects that they were."""

import argparse
import contextlib
import http.client
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from danube_pkg.cli.servers import ServerAddress, find_place
from danube_pkg.core import errors
from danube_pkg.core.errors import Invalid, PlatformError, Unavailable
from danube_pkg.kit.records import Record

TIMEOUT_SECONDS = 60.0
"""The server's heartbeat on an event stream comes every 15 s; four missed ones mean that it is gone."""

RECONNECT_SECONDS = 60.0
"""How long a follower waits for a server that is restarted, upgraded or being moved."""

RECONNECT_INTERVAL_SECONDS = 0.2

PAGE = 200
"""What the API gives of a list at once at most."""

POST_TRIES = 5
"""A second in all: a server that restarts meanwhile is seen as such, and the key makes a repetition harmless."""

_KINDS: Mapping[int, type[PlatformError]] = {
    400: errors.Invalid,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    422: errors.Permanent,
    429: errors.Unavailable,
    503: errors.Unavailable,
    507: errors.StorageFull,
}


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; its path may be longer than an address can be."""

    def __init__(self, path: Path) -> None:
        super().__init__("danube", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        place = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(TIMEOUT_SECONDS)
            self.sock.connect(f"/proc/self/fd/{place}/{self._path.name}")
        finally:
            os.close(place)


class ServerEvent(Record):
    """One server-sent event; `id` as the server gave it, "" where it gave none."""

    name: str
    data: Any
    id: str


class AnswerLost(Unavailable):
    """The request went out; what became of it is not known."""


class ApiClient:
    """One server. Every call opens a connection of its own, so that a restart between two calls is not noticed."""

    def __init__(self, options: argparse.Namespace, *, place: ServerAddress | None = None) -> None:
        self.place = place or find_place(options)

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """A JSON answer. Raises what the server refused with, Unavailable where there is no server."""
        words = "&".join(f"{name}={quote(str(value))}" for name, value in (query or {}).items() if value is not None)
        with self._request("GET", f"{path}?{words}" if words else path) as response:
            return json.loads(response.read())

    def listed(
        self, path: str, key: str, query: Mapping[str, object] | None = None, *, limit: int | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """What a list's pages hold under `key`, page after page as they are needed; `limit` at most, None for all."""
        cursor, left = None, limit
        while left is None or left > 0:
            page = self.get(
                path, {**(query or {}), "limit": PAGE if left is None else min(PAGE, left), "cursor": cursor}
            )
            found = page[key]
            yield from found
            cursor, left = page["cursor"], None if left is None else left - len(found)
            if cursor is None:
                return

    def post(self, path: str, body: object = None) -> Any:
        """Raises what the server refused with. An answer that was lost is asked for again; nothing is done twice."""
        data = json.dumps(body).encode() if body is not None else b""
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        for left in reversed(range(POST_TRIES)):
            try:
                with self._request("POST", path, data, headers) as response:
                    return json.loads(response.read() or b"null")
            except AnswerLost:
                if not left:
                    raise
            time.sleep(RECONNECT_INTERVAL_SECONDS)
        raise AssertionError("the last try either answers or raises")

    def put(self, path: str, data: bytes) -> None:
        """Raises what the server refused with."""
        with self._request("PUT", path, data) as response:
            response.read()

    def delete(self, path: str) -> None:
        with self._request("DELETE", path) as response:
            response.read()

    @contextlib.contextmanager
    def open(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
        """An answer to be read as a stream."""
        with self._request("GET", path, headers=headers) as response:
            yield response

    def follow(self, path: str) -> Iterator[ServerEvent]:
        """The events of a stream until its `end`; a lost connection is made again and goes on where it was."""
        last, lost_at = "", 0.0
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with self.open(path, headers) as response:
                    lost_at = 0.0
                    for event in _events(response):
                        last = event.id or last
                        yield event
                        if event.name == "end":
                            return
            except (Unavailable, OSError, http.client.HTTPException) as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > RECONNECT_SECONDS:
                    raise self._not_there(error) from error
            time.sleep(RECONNECT_INTERVAL_SECONDS)

    @contextlib.contextmanager
    def _request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        given = {"Authorization": f"Bearer {self.place.token}"} if self.place.token else {}
        sent = False
        try:
            try:
                connection.connect()
                sent = True
                connection.request(method, path, body=body or None, headers={**given, **(headers or {})})
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self._not_there(error, AnswerLost if sent else Unavailable) from error
            if response.status >= 400:
                raise _refusal(response.status, response.read())
            yield response
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.place.socket is not None:
            return _SocketConnection(self.place.socket)
        parts = urlsplit(self.place.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)

    def _not_there(self, error: Exception, kind: type[Unavailable] = Unavailable) -> Unavailable:
        return kind(
            "server-unreachable",
            f"no server answers at {self.place.name}",
            cause=getattr(error, "strerror", "") or str(error) or type(error).__name__,
            hint=self.place.hint,
        )


def _events(response: IO[bytes]) -> Iterator[ServerEvent]:
    """The stream's events (WHATWG HTML, section 9.2), each with one line of data as this server sends them."""
    fields: dict[str, str] = {}
    for line in response:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif fields.get("event"):
            yield ServerEvent(fields["event"], json.loads(fields.get("data", "null")), fields.get("id", ""))
            fields = {}


def _refusal(status: int, body: bytes) -> PlatformError:
    try:
        document = json.loads(body)
        kind = _KINDS.get(status, PlatformError)
        return kind(document["reference"], document["title"], cause=document["detail"], hint=document["hint"])
    except (ValueError, KeyError, TypeError):
        return PlatformError(
            "answer-not-understood", f"the server answered {status}", cause=body[:200].decode("latin-1")
        )


def key_values(words: list[str], what: str) -> dict[str, str]:
    """`K=V` words as a mapping. Raises Invalid."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise Invalid(f"{what}-invalid", f"{word!r} is no {what}", hint=f"write --{what} KEY=VALUE")
        found[key] = value
    return found
