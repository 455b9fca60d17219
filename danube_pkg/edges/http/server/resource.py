"""What a handler is: a method of a resource whose annotations say what it takes and gives.

    class JobCancel(Resource):
        @answers(202, refuses=(409,))
        async def POST(self, request: Request) -> JobSummary:
            "End a job that has not ended."

A parameter `query` or `body` is a dataclass that is read from the request; the dataclass that comes back becomes JSON. The
same annotations make the OpenAPI document, so it cannot say anything else than what the handler does.
"""

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from danube_pkg.core.identity.access import Action
from danube_pkg.edges.http.server.bodies import json_response, read_body, read_query
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record, is_record

BODY_BYTES = 64 * 1024
"""Of a JSON body: a trigger with a hundred parameters is a few KB."""

JSON = "application/json"


class Resource:
    """What every resource has: the services, and no state of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def close(self) -> None:
        """Let go of what it has begun; the server is stopping."""


class ResponseSpec(Record):
    """How a handler answers beside its annotations. `statuses`: the first is the usual one. `refuses`: further statuses
    with a problem document. `takes`: the media type of a body that is no JSON; `body_bytes`: the most of one that is."""

    statuses: tuple[int, ...] = (200,)
    content: str = JSON
    refuses: tuple[int, ...] = ()
    takes: str = ""
    body_bytes: int = BODY_BYTES


Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


def answers(
    *statuses: int,
    content: str = JSON,
    refuses: tuple[int, ...] = (),
    takes: str = "",
    body_bytes: int = BODY_BYTES,
) -> Callable[[Handler], Handler]:
    """Says how a handler answers where that is not simply 200 with JSON."""

    def mark(handler: Handler) -> Handler:
        handler.answer = ResponseSpec(statuses or (200,), content, refuses, takes, body_bytes)  # type: ignore[attr-defined]
        return handler

    return mark


class Route(Record):
    """`{name}` in the path matches one segment, `{name*}` all that follow. What is not part of the API is not `documented`."""

    method: str
    path: str
    action: Action
    resource: type[Resource]
    documented: bool = True


class BoundHandler(Record):
    """A handler with what its annotations say. `result` is None where it makes its response itself."""

    call: Callable[..., Awaitable[Any]]
    answer: ResponseSpec
    query: type[Any] | None
    body: type[Any] | None
    result: type[Any] | None
    text: str

    async def __call__(self, request: Request) -> Response:
        """Read what it takes, call it, render what it gives. Raises InputInvalid and whatever the handler raises."""
        given: dict[str, Any] = {}
        if self.query is not None:
            given["query"] = read_query(self.query, request.query_text)
        if self.body is not None:
            given["body"] = read_body(self.body, await request.read_body(self.answer.body_bytes))
        found = await self.call(request, **given)
        if isinstance(found, Response):
            return found
        return Response(self.answer.statuses[0]) if found is None else json_response(found, self.answer.statuses[0])


def endpoint(resource: Resource, method: str) -> BoundHandler:
    """The endpoint of a resource's method; raises AttributeError where it has none."""
    return _described(getattr(resource, method), type(resource))


def endpoint_of(resource: type[Resource], method: str) -> BoundHandler:
    """The same without a resource that could be called: for the document."""
    return _described(getattr(resource, method), resource)


def _described(call: Callable[..., Awaitable[Any]], resource: type[Resource]) -> BoundHandler:
    hints = typing.get_type_hints(call)
    returned = hints.get("return")
    results = [one for one in (typing.get_args(returned) or (returned,)) if is_record(one) and one is not Response]
    return BoundHandler(
        call=call,
        answer=getattr(call, "answer", ResponseSpec()),
        query=hints.get("query"),
        body=hints.get("body"),
        result=typing.cast("type[Any]", results[0]) if results else None,
        text=inspect.cleandoc(call.__doc__ or resource.__doc__ or ""),
    )
