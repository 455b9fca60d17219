"""Liveness and readiness, for supervisors and load balancers. They need no login."""

from danube_pkg.core.errors import Unauthenticated
from danube_pkg.core.identity.access import Action, can
from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import client_address
from danube_pkg.edges.http.views.health import HealthView, part_view


class Health(Resource):
    """`/health`."""

    async def GET(self, request: Request) -> HealthView:
        """200 as long as the server answers, also while something beside it does not work."""
        dex = self.services.identity.dex
        conditions = await dex.conditions() if dex is not None else ()
        return HealthView("ok", tuple(one.reference for one in conditions))


class Readiness(Resource):
    """`/health/ready`."""

    @answers(200, 503)
    async def GET(self, request: Request) -> HealthView | Response:
        """200 if the server can take work: every subsystem works, and it is not draining. 503 otherwise. Sentences and
        hints are for callers who may see the server's state; every caller gets the stable references."""
        parts = await self.services.health.readiness.parts()
        is_full = await self._may_read_sentences(request)
        views = tuple([part_view(one, is_full=is_full) for one in parts])
        references = tuple(reference for one in parts for reference in one.references)
        status = "draining" if self.services.jobs.draining.active else "not-ready" if references else "ready"
        if status != "ready":
            return json_response(HealthView(status, references, views), 503, (("retry-after", "60"),))
        return json_response(HealthView(status, (), views))

    async def _may_read_sentences(self, request: Request) -> bool:
        """Whether the caller has a token or the server's own socket; a wrong token is treated as none, since a monitor
        must get its answer."""
        header = request.headers.get("authorization")
        if header is None:
            return request.local
        address = client_address(request, self.services.site)
        try:
            actor = await self.services.identity.logins.tokens.find(header.removeprefix("Bearer ").strip(), address)
        except Unauthenticated:
            return False
        return can(actor, Action.SEE_SYSTEM)
