"""Authenticates a request and authorises its action: the router before each request, a stream again while it is
open."""

from danube_pkg.core.identity.access import (
    LOCAL_ADMINISTRATOR,
    RULES,
    Action,
    ActorKind,
    Need,
    access_of,
    require,
    unknown_pipeline,
)
from danube_pkg.core.jobs.job import unknown_job
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.security import SAFE_METHODS, check_origin, client_address, cookies, session_cookie
from danube_pkg.edges.http.services import Services

BEFORE_THE_PIPELINE = frozenset({Action.SEE_SECRET_NAMES, Action.SET_SECRETS})
"""Actions that are possible for a pipeline that is not configured yet."""


class Authoriser:
    """Sets the request's actor, and the job or pipeline that its path names."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cookie = session_cookie(services.site)

    async def authorise(self, request: Request) -> None:
        """Raises what `core.identity.access.require` does, and NotFound for what the caller may not see."""
        action = request.action
        if RULES[action].need is Need.NOTHING:
            return
        await self.authenticate(request)
        if request.actor.kind is ActorKind.ANONYMOUS:
            require(request.actor, action)
        if "job" in request.arguments:
            await self._load_job(request)
        elif "pipeline" in request.arguments:
            await self._load_pipeline(request, action)
        require(request.actor, action, request.target)
        if request.method not in SAFE_METHODS and request.csrf_token:
            check_origin(request, request.csrf_token)

    async def authenticate(self, request: Request) -> None:
        """Set the actor by token, socket or cookie. Raises Unauthenticated for an invalid token."""
        logins = self._services.identity.logins
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
        job = await self._services.jobs.engine.find(job_id)
        if job is None:
            raise unknown_job(job_id)
        request.target = await self._services.identity.access.target(job.pipeline)
        if access_of(request.actor, request.target) < Need.READ:
            raise unknown_job(job_id)
        request.job_ = job

    async def _load_pipeline(self, request: Request, action: Action) -> None:
        name = request.arguments["pipeline"]
        request.target = await self._services.identity.access.target(name)
        if access_of(request.actor, request.target) < Need.READ:
            raise unknown_pipeline(name)
        request.pipeline_ = await self._services.pipelines.load_pipeline(name)
        if request.pipeline_ is None and action not in BEFORE_THE_PIPELINE:
            raise unknown_pipeline(name)
