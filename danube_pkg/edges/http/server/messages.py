"""Requests and responses as values, and the problem document that every error becomes (RFC 9457)."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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
from danube_pkg.kit.records import HIDDEN, Mutable, Record, field

RETRY_SECONDS = 5
"""What `Retry-After` says where nobody knows better: a restart takes less."""


class Frame:
    """Bytes for many readers: the chunk around them is made once, whoever takes them."""

    __slots__ = ("chunk", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data)


class Sink(Protocol):
    """The client's end of a stream: frames go to the transport at once, `drain` waits until the client has taken them."""

    @property
    def paused_since(self) -> float:
        """When the client stopped reading, in the loop's monotonic seconds; infinity while it reads."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """What was written and the client has not taken yet."""
        ...

    def write(self, frame: Frame) -> None:
        """Part of the body."""
        ...

    async def drain(self) -> None:
        """Wait while the client takes nothing. Raises ConnectionError when it is gone."""
        ...


class Stream(ABC):
    """A body that lasts: it writes frames itself, at its readers' pace, and is cancelled when the client leaves."""

    @abstractmethod
    async def run(self, sender: Sink) -> None:
        """Until it is over. Raises ConnectionError."""


Body = bytes | AsyncIterator[bytes] | Stream


class Request(Mutable):
    """A request. The router fills in what the path names and who asks; handlers only read.

    `path` is as it was sent, still percent-encoded; `arguments` are decoded and match their patterns. `target` is what the
    action is done to, `job` and `pipeline` are set where the path names one. `session_id` and `csrf_token` belong to a
    browser's login; `reserved_id` is what an idempotency key has reserved for the thing that is made; `audited_as` is who a login was
    of, or claimed to be of, and the delivery of a forge.
    """

    method: str
    path: str
    query_text: str
    headers: Mapping[str, str]
    local: bool
    address: str
    request_id: str
    read_body: Annotated[Callable[[int], Awaitable[bytes]], HIDDEN]
    actor: Actor = ANONYMOUS
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: Target = SERVER
    action_: Action | None = None
    session_id: str = ""
    csrf_token: str = ""
    reserved_id: str | None = None
    audited_as: str = ""
    job_: Job | None = None
    pipeline_: Pipeline | None = None

    @property
    def action(self) -> Action:
        """What the matched route does; set by the router."""
        assert self.action_ is not None, self.path
        return self.action_

    @property
    def job(self) -> Job:
        """The job that the path names; the router has loaded it and asked whether the caller may see it."""
        assert self.job_ is not None, self.path
        return self.job_

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that the path names."""
        assert self.pipeline_ is not None, self.path
        return self.pipeline_


class Response(Record):
    """A body of bytes gets a length; an iterator is sent part by part; a stream writes itself."""

    status: int
    body: Body = b""
    headers: tuple[tuple[str, str], ...] = ()


class InputInvalid(Invalid):
    """Everything that is wrong with a query or a body, at once; `findings` is never empty."""

    def __init__(self, what: str, findings: tuple[Invalid, ...]) -> None:
        super().__init__("input-invalid", f"{what}: {findings[0].what}", hint=findings[0].hint)
        self.findings = findings


def problem(error: PlatformError, request_id: str, status: int | None = None) -> Response:
    """The same object that the command line prints."""
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
    findings: tuple[Invalid, ...] = getattr(error, "findings", ())
    if findings:
        document["findings"] = [
            {"place": str(one.place or ""), "what": one.what, "cause": one.cause, "hint": one.hint} for one in findings
        ]
    own: tuple[tuple[str, str], ...] = getattr(error, "headers", ())
    headers = (("content-type", "application/problem+json"), *own)
    if document["status"] in (429, 503):
        headers += (("retry-after", str(getattr(error, "retry_seconds", RETRY_SECONDS))),)
    if document["status"] == 401:
        headers += (("www-authenticate", 'Bearer realm="danube"'),)
    return Response(document["status"], json.dumps(document).encode(), headers)
