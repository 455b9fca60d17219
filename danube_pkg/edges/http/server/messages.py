"""Requests and responses as values, and the problem document that every error becomes (RFC 9457)."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Protocol

from danube_pkg.core.errors import Invalid, PlatformError
from danube_pkg.core.identity.access import (
    ANONYMOUS,
    SERVER,
    Action,
    Actor,
    Target,
)
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.edges.http.server.body_memory import BodyMemory
from danube_pkg.kit.records import HIDDEN, Mutable, Record, field

RETRY_SECONDS = 5
"""The default of `Retry-After`; a restart of the server takes less."""


class Frame:
    """Bytes for many streams; the chunk around them is made once for all of them."""

    __slots__ = ("chunk", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data)


class BodyReader(Protocol):
    """Reads the whole body of a request."""

    async def __call__(self, limit_bytes: int, memory: BodyMemory | None = None) -> bytes:
        """memory: what the body shares with others while it is read. Raises TooLarge, Unavailable, TimeoutError."""
        ...


class Sink(Protocol):
    """The client's end of a stream: frames go to the transport at once, `drain` waits for a client that reads
    slowly."""

    @property
    def paused_since(self) -> float:
        """When the client stopped reading, in the loop's monotonic seconds; infinity while it reads."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """How much was written and is not yet sent to the client."""
        ...

    def write(self, frame: Frame) -> None:
        """Part of the body."""
        ...

    async def drain(self) -> None:
        """Wait until the client reads again. Raises ConnectionError if it has disconnected."""
        ...


class Stream(ABC):
    """A body without a known end, which writes frames itself. It is cancelled when the client disconnects."""

    @abstractmethod
    async def run(self, sender: Sink) -> None:
        """Write frames until the body ends. Raises ConnectionError."""


Body = bytes | AsyncIterator[bytes] | Stream


class Request(Mutable):
    """A request. The router fills in the caller and what the path names; handlers only read."""

    method: str
    path: str
    """As it was sent, percent-encoded."""
    query_text: str
    headers: Mapping[str, str]
    local: bool
    """Whether it came over the owner's unix socket."""
    address: str
    """The IP address of the connection's other end."""
    request_id: str
    read_body: Annotated[BodyReader, HIDDEN]
    """Reads the whole body."""
    actor: Actor = ANONYMOUS
    arguments: Mapping[str, str] = field(default_factory=dict)
    """The decoded path parameters, which match their patterns."""
    target: Target = SERVER
    """What the action is done to."""
    action_: Action | None = None
    session_id: str = ""
    """The browser's session; "" without one."""
    csrf_token: str = ""
    """The session's token, which a write by cookie must have."""
    reserved_id: str | None = None
    """The id that an Idempotency-Key has reserved for a new job."""
    audited_as: str = ""
    """The caller in the audit log if there is no login: the address that logs in, or the webhook delivery."""
    job_: Job | None = None
    pipeline_: Pipeline | None = None

    @property
    def action(self) -> Action:
        """What the matched route does; set by the router."""
        assert self.action_ is not None, self.path
        return self.action_

    @property
    def job(self) -> Job:
        """The job that the path names; the router has loaded it and checked that the caller may see it."""
        assert self.job_ is not None, self.path
        return self.job_

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that the path names."""
        assert self.pipeline_ is not None, self.path
        return self.pipeline_


class Response(Record):
    """An answer. A body of bytes gets a Content-Length; an iterator is sent part by part; a stream writes itself."""

    status: int
    body: Body = b""
    headers: tuple[tuple[str, str], ...] = ()


class InputInvalid(Invalid):
    """All mistakes in a query or a body; `findings` has at least one."""

    def __init__(self, what: str, findings: tuple[Invalid, ...]) -> None:
        super().__init__("input-invalid", f"{what}: {findings[0].what}", hint=findings[0].hint)
        self.findings = findings


def problem(error: PlatformError, request_id: str, status: int | None = None) -> Response:
    """The error as a problem document."""
    document: dict[str, Any] = {
        "type": f"https://danube.dev/problems/{error.reference}",
        "title": error.what,
        "status": status or error.status,
        "detail": error.cause,
        "reference": error.reference,
        "hint": error.hint,
        "request_id": request_id,
    }
    if error.place is not None:
        document["place"] = str(error.place)
    if error.findings:
        document["findings"] = [
            {"place": str(one.place or ""), "what": one.what, "cause": one.cause, "hint": one.hint}
            for one in error.findings
        ]
    own: tuple[tuple[str, str], ...] = getattr(error, "headers", ())
    headers = (("content-type", "application/problem+json"), *own)
    if document["status"] in (429, 503):
        headers += (("retry-after", str(getattr(error, "retry_seconds", RETRY_SECONDS))),)
    if document["status"] == 401:
        headers += (("www-authenticate", 'Bearer realm="danube"'),)
    return Response(document["status"], json.dumps(document).encode(), headers)
