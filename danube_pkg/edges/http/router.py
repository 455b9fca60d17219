"""From a request to its answer: match, recognise, authorise, call, record, render. No request takes another way.

What the caller may not see is answered exactly as what is not there, before anything else is looked at.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

from danube_pkg.core.access import (
    ANONYMOUS,
    LOCAL_ADMINISTRATOR,
    RULES,
    Action,
    Kind,
    Need,
    require,
    standing,
    unknown_pipeline,
)
from danube_pkg.core.audit import Happening
from danube_pkg.core.errors import DanubeError, Defect, NotFound, Permanent
from danube_pkg.core.jobs import unknown_job
from danube_pkg.edges.http import idempotency
from danube_pkg.edges.http.compression import compressed
from danube_pkg.edges.http.events import LiveResource
from danube_pkg.edges.http.messages import Request, Response, problem
from danube_pkg.edges.http.metrics import HttpMetrics, Metrics
from danube_pkg.edges.http.pages import problem_page, wants_page
from danube_pkg.edges.http.resource import Endpoint, Resource, endpoint
from danube_pkg.edges.http.routes import PATTERNS, ROUTES, Route
from danube_pkg.edges.http.security import (
    SAFE_METHODS,
    Hardening,
    check_origin,
    client_address,
    cookies,
    session_cookie,
)
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.tree import Tree

ALSO_AUDITED = frozenset({Action.SEE_SECRET_NAMES, Action.SEE_GLOBAL_SECRET_NAMES})
"""Reads that are kept like writes: every access to secrets is."""

TOO_MANY = 429
"""Tries beyond a bound are not kept one by one: the ones before it are, and a table that only grows is not for strangers to fill."""

BEFORE_THE_PIPELINE = frozenset({Action.SEE_SECRET_NAMES, Action.SET_SECRETS})
"""What can be done for a pipeline that is not configured yet."""

_log = logging.getLogger("danube.http")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path stands for: its routes by method."""

    endpoints: dict[str, tuple[Route, Endpoint]] = field(default_factory=dict)


class MethodNotAllowed(Permanent):
    """The path is there, with other methods: `headers` names them (RFC 9110 section 15.5.6)."""

    status = 405

    def __init__(self, request: Request, target: Target) -> None:
        takes = ", ".join([*target.endpoints, *(["HEAD"] if "GET" in target.endpoints else [])])
        what = f"{unquote(request.path)} takes {takes}, not {request.method}"
        super().__init__("method-not-allowed", what, hint="the paths and their methods are listed at /docs")
        self.headers = (("allow", takes),)


class Router:
    """Built once from the table of routes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._resources: dict[type[Resource], Resource] = {}
        self._tree: Tree[Target] = Tree(PATTERNS)
        for route in ROUTES:
            if route.resource not in self._resources:
                self._resources[route.resource] = route.resource(services)
            made = endpoint(self._resources[route.resource], route.method)
            self._tree.place(route.path, Target).endpoints[route.method] = route, made
        self._hardening = Hardening(services.site)
        self._idempotency = idempotency.Idempotency(services)
        self._cookie = session_cookie(services.site)
        self.figures = HttpMetrics(services)
        metrics = self._resources[Metrics]
        assert isinstance(metrics, Metrics)
        metrics.figures = self.figures
        for resource in self._resources.values():
            if isinstance(resource, LiveResource):
                resource.still_may = self.still_may

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Whatever resources begin ends with this."""
        try:
            yield
        finally:
            for resource in self._resources.values():
                await resource.close()

    async def respond(self, request: Request) -> Response:
        """The answer to a request, whatever happens. Raises ConnectionError and TimeoutError of its body alone."""
        started = time.perf_counter()
        found: tuple[Route, Endpoint] | None = None
        try:
            found = self._find(request)
            response = await self._answer(request, *found)
        except DanubeError as error:
            render = problem_page if wants_page(request) else problem
            response = render(error, request.request_id)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:  # noqa: BLE001 - a bug answers its request, and the server goes on
            _log.exception("request-failed", extra={"fields": {"path": request.path, "request_id": request.request_id}})
            broken = Defect("internal-error", "the server failed; its log has the reason")
            response = problem(broken, request.request_id)
        response = self._hardening.add(await compressed(request, response))
        self.figures.count(found[0].path if found else "", response.status, time.perf_counter() - started)
        return response

    def _find(self, request: Request) -> tuple[Route, Endpoint]:
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

    async def _answer(self, request: Request, route: Route, handler: Endpoint) -> Response:
        writes = request.method not in SAFE_METHODS
        try:
            await self._authorise(request, route, writes=writes)
            if idempotency.HEADER in request.headers and request.method == "POST" and request.actor is not ANONYMOUS:
                response = await self._idempotency.answer(request, handler)
            else:
                response = await handler(request)
        except DanubeError as error:
            if _is_audited(request, route) and error.status != TOO_MANY:
                await self._record(request, route, error.reference)
            raise
        if _is_audited(request, route):
            await self._record(request, route, "done" if response.status < 400 else "refused")
        return response

    async def _authorise(self, request: Request, route: Route, *, writes: bool) -> None:
        """Who asks and for what; raises what `core.access.require` does."""
        if RULES[route.action].need is Need.NOTHING:
            return
        await self.recognise(request)
        if request.actor.kind is Kind.ANONYMOUS:
            require(request.actor, route.action)
        if "job" in request.arguments:
            await self._load_job(request)
        elif "pipeline" in request.arguments:
            await self._load_pipeline(request, route.action)
        require(request.actor, route.action, request.thing)
        if writes and request.csrf_token:
            check_origin(request, request.csrf_token)

    async def still_may(self, request: Request) -> None:
        """Whether a request that was let in would be let in now; raises what refuses it."""
        target, _ = self._tree.find(request.path) or (Target(), {})
        route, _ = target.endpoints["GET"]
        await self._authorise(request, route, writes=False)

    async def recognise(self, request: Request) -> None:
        """Sets the actor by socket, token or cookie. Raises Unauthenticated for a proof that is none."""
        logins = self._services.logins
        header = request.headers.get("authorization")
        if header is not None:
            address = client_address(request, self._services.site)
            request.actor = await logins.tokens.find(header.removeprefix("Bearer ").strip(), address)
        elif request.local:
            request.actor = LOCAL_ADMINISTRATOR
        elif "cookie" in request.headers and (secret := cookies(request).get(self._cookie)):
            login = await logins.sessions.find(secret)
            request.actor, request.session_id, request.csrf_token = login.actor, login.session.id, login.csrf_token

    async def _load_job(self, request: Request) -> None:
        job_id = request.arguments["job"]
        job = await self._services.engine.find(job_id)
        if job is None:
            raise unknown_job(job_id)
        request.thing = await self._services.access.thing(job.pipeline)
        if standing(request.actor, request.thing) < Need.READ:
            raise unknown_job(job_id)
        request.job_ = job

    async def _load_pipeline(self, request: Request, action: Action) -> None:
        name = request.arguments["pipeline"]
        request.thing = await self._services.access.thing(name)
        if standing(request.actor, request.thing) < Need.READ:
            raise unknown_pipeline(name)
        request.pipeline_ = await self._services.pipelines.load_pipeline(name)
        if request.pipeline_ is None and action not in BEFORE_THE_PIPELINE:
            raise unknown_pipeline(name)

    async def _record(self, request: Request, route: Route, outcome: str) -> None:
        """Who did what; refusals too, since they are what somebody looks for later."""
        details = {"path": unquote(request.path)}
        if request.actor.scopes is not None:
            details["scopes"] = " ".join(sorted(request.actor.scopes))
        happening = Happening(
            at=0.0,
            actor=request.audited_as or request.actor.name,
            action=route.action,
            target=" ".join(request.arguments.values())[:200],
            outcome=outcome,
            address=client_address(request, self._services.site),
            request_id=request.request_id,
            details=details,
        )
        await self._services.audit.record(happening)


def _is_audited(request: Request, route: Route) -> bool:
    """Every write, and every look at secrets' names, of whoever is somebody or was named: a login's person, a delivery.

    Strangers who are let in nowhere leave lines in the log instead, since they could fill a table that only grows.
    """
    if request.audited_as:
        return True
    kept = request.method not in SAFE_METHODS or route.action in ALSO_AUDITED
    return kept and request.actor is not ANONYMOUS
