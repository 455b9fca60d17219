"""The table of routes: method and path, the action that they are, and who handles them. Everything else is 404 or 405."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from danube_pkg.core.access import Action, require
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.edges.http import configuration, events, handlers
from danube_pkg.edges.http.handlers import Resource
from danube_pkg.edges.http.messages import Request, Response
from danube_pkg.edges.http.services import Services


@dataclass(frozen=True, slots=True)
class Route:
    """`{name}` in the path matches one segment."""

    method: str
    path: str
    action: Action
    resource: type[Resource]


ROUTES = (
    Route("GET", "/health", Action.SEE_HEALTH, handlers.Health),
    Route("GET", "/health/ready", Action.SEE_HEALTH, handlers.Readiness),
    Route("GET", "/api/v1/me", Action.SEE_SELF, handlers.Me),
    Route("GET", "/api/v1/pipelines", Action.SEE_PIPELINES, handlers.Pipelines),
    Route("POST", "/api/v1/pipelines/{pipeline}/jobs", Action.TRIGGER, handlers.PipelineJobs),
    Route("GET", "/api/v1/jobs", Action.SEE_JOBS, handlers.Jobs),
    Route("GET", "/api/v1/jobs/{job}", Action.SEE_JOBS, handlers.OneJob),
    Route("POST", "/api/v1/jobs/{job}/cancel", Action.CANCEL, handlers.JobCancel),
    Route("GET", "/api/v1/jobs/{job}/log", Action.READ_LOGS, handlers.JobLog),
    Route("GET", "/api/v1/jobs/{job}/events", Action.READ_LOGS, events.JobEvents),
    Route("GET", "/api/v1/jobs/{job}/artifacts", Action.SEE_JOBS, handlers.Artifacts),
    Route("GET", "/api/v1/jobs/{job}/artifacts/{artifact}", Action.DOWNLOAD, handlers.OneArtifact),
    Route("GET", "/api/v1/secrets", Action.SEE_SECRET_NAMES, handlers.SecretNames),
    Route("PUT", "/api/v1/secrets/{key}", Action.SET_SECRETS, handlers.OneSecret),
    Route("DELETE", "/api/v1/secrets/{key}", Action.SET_SECRETS, handlers.OneSecret),
    Route("GET", "/api/v1/pipelines/{pipeline}/secrets", Action.SEE_SECRET_NAMES, handlers.SecretNames),
    Route("PUT", "/api/v1/pipelines/{pipeline}/secrets/{key}", Action.SET_SECRETS, handlers.OneSecret),
    Route("DELETE", "/api/v1/pipelines/{pipeline}/secrets/{key}", Action.SET_SECRETS, handlers.OneSecret),
    Route("GET", "/api/v1/pipelines/{pipeline}/definition", Action.SEE_PIPELINES, configuration.PipelineDefinition),
    Route("GET", "/api/v1/config", Action.SEE_CONFIGURATION, configuration.ConfigurationState),
    Route("POST", "/api/v1/config/sync", Action.SYNC_CONFIGURATION, configuration.ConfigurationSync),
    Route("POST", "/api/v1/config/plan", Action.SEE_CONFIGURATION, configuration.ConfigurationPlan),
)


class MethodNotAllowed(Permanent):
    """The path is there, with other methods."""

    status = 405


class Router:
    """From a request to its handler, past the one place where it is decided whether it may."""

    def __init__(self, services: Services) -> None:
        made: dict[type[Resource], Resource] = {}
        self._routes: list[tuple[re.Pattern[str], Route, Callable[[Request], Awaitable[Response]]]] = []
        for route in ROUTES:
            resource = made.setdefault(route.resource, route.resource(services))
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))
            self._routes.append((pattern, route, getattr(resource, route.method)))

    async def handle(self, request: Request) -> Response:
        methods = []
        for pattern, route, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            if route.method == request.method:
                require(request.actor, route.action)
                return await handler(replace(request, arguments=match.groupdict()))
            methods.append(route.method)
        if methods:
            raise MethodNotAllowed(
                "method-not-allowed", f"{request.path} takes {', '.join(methods)}, not {request.method}"
            )
        raise NotFound("no-such-path", f"there is nothing at {request.path}", hint="the paths are below /api/v1")
