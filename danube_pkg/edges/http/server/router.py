"""From a request to its answer: match, authenticate, authorise, call, audit, render. Every request takes this path.

What the caller may not see is answered exactly like what does not exist, before anything else is checked.
"""

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote

from danube_pkg.core.errors import Defect, NotFound, Permanent, PlatformError
from danube_pkg.core.identity.access import (
    ANONYMOUS,
    Action,
)
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.edges.http.server import idempotency
from danube_pkg.edges.http.server.authorisation import Authoriser
from danube_pkg.edges.http.server.compression import compressed
from danube_pkg.edges.http.server.error_page import problem_page, wants_page
from danube_pkg.edges.http.server.messages import Request, Response, problem
from danube_pkg.edges.http.server.resource import BoundHandler, Resource, Route, endpoint
from danube_pkg.edges.http.server.route_tree import RouteTree
from danube_pkg.edges.http.server.security import (
    SAFE_METHODS,
    Hardening,
    client_address,
)
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record, field

ALSO_AUDITED = frozenset({Action.SEE_SECRET_NAMES, Action.SEE_GLOBAL_SECRET_NAMES})
"""Reads that are audited like writes: every access to secrets is."""

NOT_AUDITED = frozenset({Action.USE_SHELL})
"""Writes of which only refusals are audited: each key that is typed in a shell. Its opening and its end are audited."""

TOO_MANY = 429
"""Refused attempts over the rate limit are not audited one by one, so that unauthenticated clients cannot fill the
table."""

_log = logging.getLogger("danube.http")


class RouteMatch(Record):
    """The routes of one path, by method."""

    endpoints: dict[str, tuple[Route, BoundHandler]] = field(default_factory=dict)


class MethodNotAllowed(Permanent):
    """The path exists with other methods, which the header Allow names (RFC 9110 section 15.5.6)."""

    status = 405

    def __init__(self, request: Request, target: RouteMatch) -> None:
        takes = ", ".join([*target.endpoints, *(["HEAD"] if "GET" in target.endpoints else [])])
        what = f"{unquote(request.path)} takes {takes}, not {request.method}"
        super().__init__("method-not-allowed", what, hint="the paths and their methods are listed at /docs")
        self.headers = (("allow", takes),)


class Router:
    """Built once from the table of routes. patterns: the regular expression of each path parameter, by name."""

    def __init__(self, services: Services, routes: Sequence[Route], patterns: Mapping[str, str]) -> None:
        self._services = services
        self._resources: dict[type[Resource], Resource] = {}
        self._tree: RouteTree[RouteMatch] = RouteTree(patterns)
        for route in routes:
            if route.resource not in self._resources:
                self._resources[route.resource] = route.resource(services)
            made = endpoint(self._resources[route.resource], route.method)
            self._tree.place(route.path, RouteMatch).endpoints[route.method] = route, made
        self._hardening = Hardening(services.site)
        self._idempotency = idempotency.Idempotency(services)
        self._authoriser = Authoriser(services)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ends the resources' tasks when the context closes."""
        try:
            yield
        finally:
            for resource in self._resources.values():
                await resource.close()

    async def respond(self, request: Request) -> Response:
        """The answer to a request, also after an error. Raises only ConnectionError and TimeoutError, from reading
        the body."""
        started = time.perf_counter()
        found: tuple[Route, BoundHandler] | None = None
        try:
            found = self._find(request)
            response = await self._answer(request, *found)
        except PlatformError as error:
            render = problem_page if wants_page(request) else problem
            response = render(error, request.request_id)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:  # noqa: BLE001 - a bug in a handler must not end the connection
            _log.exception("request-failed", extra={"fields": {"path": request.path, "request_id": request.request_id}})
            broken = Defect("internal-error", "the server failed; its log has the cause")
            response = problem(broken, request.request_id)
        response = self._hardening.add(await compressed(request, response))
        route, seconds = found[0].path if found else "", time.perf_counter() - started
        self._services.requests.metrics.count(route, response.status, seconds)
        traceparent = request.headers.get("traceparent", "")
        self._services.requests.tracer.request_done(request.method, route, response.status, seconds, traceparent)
        return response

    def _find(self, request: Request) -> tuple[Route, BoundHandler]:
        match = self._tree.find(request.path)
        if match is None:
            path = unquote(request.path)
            raise NotFound("no-such-path", f"there is nothing at {path}", hint="the paths are listed at /docs")
        target, request.arguments = match
        method = "GET" if request.method == "HEAD" else request.method
        found = target.endpoints.get(method)
        if found is None:
            raise MethodNotAllowed(request, target)
        return found

    async def _answer(self, request: Request, route: Route, handler: BoundHandler) -> Response:
        request.action_ = route.action
        try:
            await self._authoriser.authorise(request)
            if idempotency.HEADER in request.headers and request.method == "POST" and request.actor is not ANONYMOUS:
                response = await self._idempotency.answer(request, handler)
            else:
                response = await handler(request)
        except PlatformError as error:
            if _is_audited(request, route) and error.status != TOO_MANY:
                await self._record(request, route, error.reference)
            raise
        if _is_audited(request, route) and route.action not in NOT_AUDITED:
            await self._record(request, route, "done" if response.status < 400 else "refused")
        return response

    async def _record(self, request: Request, route: Route, outcome: str) -> None:
        """Add an entry to the audit log; refused requests have one too."""
        details = {"path": unquote(request.path)}
        if request.actor.scopes is not None:
            details["scopes"] = " ".join(sorted(request.actor.scopes))
        event = AuditEvent(
            at=0.0,
            actor=request.audited_as or request.actor.name,
            action=route.action,
            target=" ".join(request.arguments.values())[:200],
            outcome=outcome,
            address=client_address(request, self._services.site),
            request_id=request.request_id,
            details=details,
        )
        await self._services.identity.audit.record(event)


def _is_audited(request: Request, route: Route) -> bool:
    """Every write and every read of secrets' names, by authenticated callers, logins and webhook deliveries.

    Other unauthenticated requests are in the server's log only, since they could fill the table.
    """
    if request.audited_as:
        return True
    kept = request.method not in SAFE_METHODS or route.action in ALSO_AUDITED
    return kept and request.actor is not ANONYMOUS
