"""Requests and responses as values, and the problem document that every error becomes (RFC 9457)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from danube_pkg.core.access import Actor
from danube_pkg.core.errors import ConfigurationInvalid, DanubeError, Invalid

Body = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request. `arguments` come from the path, `query` has the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    actor: Actor
    request_id: str
    read_body: Callable[[int], Awaitable[bytes]] = field(repr=False)
    arguments: Mapping[str, str] = field(default_factory=dict)

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A number of the query; raises Invalid."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isdecimal() or not low <= int(text) <= high:
            raise Invalid("query-invalid", f"{name}={text!r} is not a number from {low} to {high}")
        return int(text)

    async def json_object(self, limit_bytes: int) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty one. Raises Invalid, TooLarge."""
        data = await self.read_body(limit_bytes)
        try:
            value = json.loads(data) if data.strip() else {}
        except ValueError as error:
            raise Invalid("body-not-json", "the body is not JSON", cause=str(error)) from error
        if not isinstance(value, dict):
            raise Invalid("body-not-object", "the body must be a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Response:
    """A body of bytes gets a length; an iterator is streamed."""

    status: int
    body: Body = b""
    headers: tuple[tuple[str, str], ...] = ()


def json_response(value: Any, status: int = 200) -> Response:
    """A value as a JSON document."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode(), (("content-type", "application/json"),))


def problem(error: DanubeError, request_id: str, status: int | None = None) -> Response:
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
    if isinstance(error, ConfigurationInvalid):
        document["findings"] = [
            {"place": str(one.place), "what": one.what, "cause": one.cause, "hint": one.hint} for one in error.findings
        ]
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/problem+json"),)
    if document["status"] == 503:
        headers += (("retry-after", "1"),)
    return Response(document["status"], json.dumps(document).encode(), headers)
