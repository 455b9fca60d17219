"""A client of the API: HTTP over the unix socket or to a URL. A problem document becomes the error that it was made
from."""

import argparse
import contextlib
import http.client
import json
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from danube_pkg.cli.servers import ServerAddress, ca_file, find_server
from danube_pkg.core import errors
from danube_pkg.core.errors import Invalid, PlatformError, SourceLocation, Throttled, Unavailable
from danube_pkg.kit.records import Record

TIMEOUT_SECONDS = 60.0
"""Four of the heartbeats that the server sends on an event stream every 15 s."""

RECONNECT_SECONDS = 60.0
"""How long a server that is being restarted or upgraded is waited for, by a follower and after a lost answer."""

RECONNECT_INTERVAL_SECONDS = 0.2

KEPT_OPEN_SECONDS = 5.0
"""How long a connection is used again after a request. Servers and proxies keep idle ones for longer."""

PROBE_SECONDS = 5.0
"""How long it is tried whether a server speaks TLS."""

CERTIFICATE_HINT = "name the certificates of the authority that signed it: --ca-file FILE, or DANUBE_CA_FILE"

PAGE = 200
"""The most items that the API returns at once."""

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
    507: errors.StorageUnwritable,
}


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket. The path may exceed the 107 bytes of a socket address."""

    def __init__(self, path: Path) -> None:
        super().__init__("danube", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(TIMEOUT_SECONDS)
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)


class ServerEvent(Record):
    """A server-sent event. id: "" if it has none."""

    name: str
    data: Any
    id: str


class NoServer(Unavailable):
    """No connection was made, so nothing was carried out."""


class AnswerLost(Unavailable):
    """The request was sent, and the connection broke before the answer: it may have been carried out or not."""


class AnswerLate(Unavailable):
    """The request was sent, and the server takes longer than a client waits: it may yet be carried out."""


class ApiClient:
    """One server. Every call opens a new connection, so that a restart between two calls does not matter."""

    def __init__(self, options: argparse.Namespace, *, server: ServerAddress | None = None) -> None:
        self.server = server or find_server(options)
        self._ca_file = ca_file(options, self.server.url)

    def get(self, path: str, query: Mapping[str, object] | None = None, accept: Collection[int] = ()) -> Any:
        """The JSON of the answer. Raises the server's error, and Unavailable if no server answers. accept: statuses
        that are errors elsewhere, and an answer of this endpoint."""
        words = "&".join(f"{name}={quote(str(value))}" for name, value in (query or {}).items() if value is not None)
        return json.loads(self._answer("GET", f"{path}?{words}" if words else path, accept=accept))

    def listed(
        self, path: str, key: str, query: Mapping[str, object] | None = None, *, limit: int | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """The items under `key` of all pages of a list, read as they are needed. limit: None for all."""
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
        """The JSON of the answer. Raises the server's error.

        After a lost answer the request is repeated, also to a restarted server. All tries have one Idempotency-Key, so
        that they are one request to it.
        """
        data = json.dumps(body).encode() if body is not None else b""
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        return json.loads(self._repeated("POST", path, data, headers) or b"null")

    def post_once(self, path: str, body: object) -> Any:
        """The JSON of the answer to a request that is not repeated. Raises the server's error."""
        return json.loads(self._answer("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"}))

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[Callable[[str, bytes], None]]:
        """A function that POSTs bytes to a path, over one connection: for requests that are small and many. It raises
        the server's error."""
        connection, used_at = self._connection(), time.monotonic()
        headers = {**self._credential, "Content-Type": "application/octet-stream"}

        def post(path: str, body: bytes) -> None:
            nonlocal used_at
            if time.monotonic() - used_at > KEPT_OPEN_SECONDS:
                connection.close()  # before the server does; the next request opens it again
            used_at = time.monotonic()
            try:
                connection.request("POST", path, body=body, headers=headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._failure(error, "POST", sent=True) from error
            if response.status >= 400:
                raise _error_of(response.status, answer, response.headers.get("Retry-After", ""))

        try:
            yield post
        finally:
            connection.close()

    @contextlib.contextmanager
    def events(self, path: str) -> Iterator[Iterator[ServerEvent]]:
        """The events of a stream, which is not continued when its connection is lost. Raises Unavailable then."""
        with self.open(path) as response:
            yield self._checked_events(response)

    def _checked_events(self, response: http.client.HTTPResponse) -> Iterator[ServerEvent]:
        try:
            yield from _events(response)
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(error, "GET", sent=True) from error

    def put(self, path: str, data: bytes) -> Any:
        """The answer; None if it is empty. Raises the server's error.

        Repeated after a lost answer: the same content twice is the same.
        """
        return json.loads(self._repeated("PUT", path, data) or b"null")

    def delete(self, path: str) -> Any:
        """The answer's JSON; None for an answer without a body."""
        body = self._answer("DELETE", path)
        return json.loads(body) if body else None

    def _repeated(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        lost: AnswerLost | None = None
        until = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                return self._answer(method, path, body, headers)
            except AnswerLost as error:
                lost = lost or error
            except NoServer:
                if lost is None:
                    raise
            if time.monotonic() >= until:
                raise lost
            time.sleep(RECONNECT_INTERVAL_SECONDS)

    def _answer(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> bytes:
        """The whole body of the answer."""
        with self._request(method, path, body, headers, accept) as response:
            try:
                return response.read()
            except (OSError, http.client.HTTPException) as error:
                raise self._failure(error, method, sent=True) from error

    @contextlib.contextmanager
    def open(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
        """The answer as a stream."""
        with self._request("GET", path, headers=headers) as response:
            yield response

    def follow(self, path: str) -> Iterator[ServerEvent]:
        """The events of a stream up to `end`. After a lost connection it reconnects and continues at the same event."""
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
                    raise self._failure(error, "GET", sent=False) from error
            time.sleep(RECONNECT_INTERVAL_SECONDS)

    @contextlib.contextmanager
    def _request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        sent = False
        try:
            try:
                connection.connect()
                sent = True
                connection.request(method, path, body=body or None, headers={**self._credential, **(headers or {})})
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self._failure(error, method, sent=sent) from error
            if response.status >= 400 and response.status not in accept:
                raise _error_of(response.status, response.read(), response.headers.get("Retry-After", ""))
            yield response
        finally:
            connection.close()

    @property
    def _credential(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.server.token}"} if self.server.token else {}

    def _connection(self) -> http.client.HTTPConnection:
        if self.server.socket is not None:
            return _SocketConnection(self.server.socket)
        parts = urlsplit(self.server.url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        context = _tls(self._ca_file)
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS, context=context)

    def _speaks_tls(self) -> bool:
        """Whether a server that ended a connection without TLS begins one with it."""
        parts = urlsplit(self.server.url)
        if parts.scheme != "http":
            return False
        try:
            with (
                socket.create_connection((parts.hostname or "", parts.port or 80), PROBE_SECONDS) as connection,
                ssl._create_unverified_context().wrap_socket(connection),
            ):
                return True
        except OSError:
            return False

    def _failure(self, error: Exception, method: str, *, sent: bool) -> Unavailable:
        """Refused, broken and late are three different things to do."""
        cause = getattr(error, "strerror", "") or str(error) or type(error).__name__
        name = self.server.name
        if isinstance(error, ssl.SSLCertVerificationError):
            what, why = f"the certificate of {name} is not accepted", error.verify_message
            return NoServer("certificate-refused", what, cause=why, hint=CERTIFICATE_HINT)
        if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
            hint = f"this port speaks plain http: {name.replace('https://', 'http://', 1)}"
            return NoServer("server-without-tls", f"{name} does not speak TLS", hint=hint)
        # Not between the tries of a request that changes something: another connection would delay the next one.
        is_closed = method == "GET" and isinstance(error, http.client.RemoteDisconnected | ConnectionResetError)
        if is_closed and self._speaks_tls():
            hint = f"use {name.replace('http://', 'https://', 1)}"
            return NoServer("server-with-tls", f"{name} speaks TLS", hint=hint)
        if not sent:
            return NoServer("server-unreachable", f"no server answers at {name}", cause=cause, hint=self.server.hint)
        doubt = "" if method == "GET" else "; whether the request was carried out is not known"
        hint = "try again" if method == "GET" else "see what was done: danube jobs, danube audit; then try again"
        if isinstance(error, TimeoutError):
            what = f"the server at {name} has not answered within {TIMEOUT_SECONDS:g} s{doubt}"
            return AnswerLate("answer-late", what, hint=hint)
        what = f"the connection to {name} broke before the answer{doubt}"
        return AnswerLost("answer-lost", what, cause=cause, hint=hint)


def _tls(authority: str) -> ssl.SSLContext:
    """authority: a file with certificates, "" for those of this machine. Raises Invalid."""
    try:
        return ssl.create_default_context(cafile=authority or None)
    except (OSError, ssl.SSLError) as error:
        hint = "--ca-file names a file of certificates in PEM form"
        raise Invalid("ca-file-unreadable", f"{authority} has no certificates", cause=str(error), hint=hint) from error


def _events(response: IO[bytes]) -> Iterator[ServerEvent]:
    """The stream's events (WHATWG HTML, section 9.2). Each has one line of data, as this server sends them."""
    fields: dict[str, str] = {}
    for line in response:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif fields.get("event"):
            yield ServerEvent(fields["event"], json.loads(fields.get("data", "null")), fields.get("id", ""))
            fields = {}


def _error_of(status: int, body: bytes, retry_after: str) -> PlatformError:
    """The error of a problem document. A rate limit says in Retry-After how many seconds it lasts."""
    try:
        document = json.loads(body)
        reference, what = document["reference"], document["title"]
        cause, hint, place = document["detail"], document["hint"], _place_of(document.get("place", ""))
        findings = tuple(
            Invalid(reference, one["what"], cause=one["cause"], hint=one["hint"], place=_place_of(one["place"]))
            for one in document.get("findings", ())
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return PlatformError(
            "answer-not-understood", f"the server answered {status}", cause=body[:200].decode("latin-1")
        )
    if status == 429 and retry_after.isascii() and retry_after.isdigit():
        return Throttled(reference, what, retry_seconds=int(retry_after[:9]), cause=cause, hint=hint)
    error = _KINDS.get(status, PlatformError)(reference, what, cause=cause, hint=hint, place=place)
    error.findings = findings
    return error


def _place_of(text: str) -> SourceLocation | None:
    """From `file:line` or `file`; None for an empty text."""
    if not text:
        return None
    file, _, line = text.rpartition(":")
    return SourceLocation(file, int(line)) if file and line.isdecimal() else SourceLocation(text)


def key_values(words: list[str], what: str) -> dict[str, str]:
    """KEY=VALUE words as a mapping. Raises Invalid for another word. what: the option's name."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise Invalid(f"{what}-invalid", f"{word!r} is not a valid {what}", hint=f"write --{what} KEY=VALUE")
        found[key] = value
    return found
