"""Resources and their handlers: a handler is a method whose annotations say what it takes and returns.

    class JobCancel(Resource):
        @answers(202, refuses=(409,))
        async def POST(self, request: Request) -> JobSummary:
            "Cancel a job that has not ended."

A parameter `query` or `body` is a record that is read from the request; the record that is returned becomes JSON. The
OpenAPI document is made from the same annotations, so it cannot differ from what the handler does.
"""

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from danube_pkg.core.identity.access import Action
from danube_pkg.edges.http.server.bodies import json_response, read_body, read_query
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record, is_record, replace

BODY_BYTES = 64 * 1024
"""The default limit for a JSON body; a start with a hundred parameters has a few KB."""

JSON = "application/json"


class Resource:
    """One path of the API. It has the services, and no state that must outlive the process."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def close(self) -> None:
        """End the tasks that it has started; the server is stopping."""


class ResponseSpec(Record):
    """How a handler answers, beside its annotations."""

    statuses: tuple[int, ...] = (200,)
    """Statuses of a success; the first is the usual one."""
    content: str = JSON
    """The media type of the answer."""
    refuses: tuple[int, ...] = ()
    """Further statuses, with a problem document."""
    takes: str = ""
    """The media type of a request body that is not JSON."""
    body_bytes: int = BODY_BYTES
    """The limit for a request body of JSON."""


Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


def answers(
    *statuses: int,
    content: str = JSON,
    refuses: tuple[int, ...] = (),
    takes: str = "",
    body_bytes: int = BODY_BYTES,
) -> Callable[[Handler], Handler]:
    """Declares how a handler answers if that is not 200 with JSON."""

    def mark(handler: Handler) -> Handler:
        handler.answer = ResponseSpec(statuses or (200,), content, refuses, takes, body_bytes)  # type: ignore[attr-defined]
        return handler

    return mark


class Route(Record):
    """A line of the table of routes. In the path `{name}` matches one segment, `{name*}` all that follow.

    documented: whether it is part of the API, and so of the OpenAPI document.
    """

    method: str
    path: str
    action: Action
    resource: type[Resource]
    documented: bool = True


class BoundHandler(Record):
    """A handler with its annotations, read. result: the record that it returns; None if it builds the response
    itself."""

    call: Callable[..., Awaitable[Any]]
    answer: ResponseSpec
    query: type[Any] | None
    body: type[Any] | None
    result: type[Any] | None
    text: str

    async def __call__(self, request: Request) -> Response:
        """Parse the input, call the handler, render the result. Raises InputInvalid and what the handler raises."""
        given: dict[str, Any] = {}
        if self.query is not None:
            given["query"] = read_query(self.query, request.query_text)
        if self.body is not None:
            given["body"] = read_body(self.body, await request.read_body(self.answer.body_bytes))
        found = await self.call(request, **given)
        if isinstance(found, Response):
            return found
        return Response(self.answer.statuses[0]) if found is None else json_response(found, self.answer.statuses[0])


_endpoints: dict[tuple[Any, str], BoundHandler] = {}
"""By resource and method, as many as there are routes: a process with several servers reads annotations once."""


def endpoint(resource: Resource, method: str) -> BoundHandler:
    """The handler for a method. Raises AttributeError if the resource has none."""
    return replace(endpoint_of(type(resource), method), call=getattr(resource, method))


def endpoint_of(resource: type[Resource], method: str) -> BoundHandler:
    """The same for a resource without services, which cannot be called: for the OpenAPI document."""
    if (resource, method) not in _endpoints:
        _endpoints[resource, method] = _described(getattr(resource, method), resource)
    return _endpoints[resource, method]


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
