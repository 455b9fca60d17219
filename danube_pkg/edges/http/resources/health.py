"""Liveness and readiness, for supervisors and load balancers. They need no login."""

from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.health import HealthView


class Health(Resource):
    """`/health`."""

    async def GET(self, request: Request) -> HealthView:
        """200 as long as the server answers, also while something beside it does not work."""
        dex = self.services.dex
        conditions = await dex.conditions() if dex is not None else ()
        return HealthView("ok", tuple(one.reference for one in conditions))


class Readiness(Resource):
    """`/health/ready`."""

    @answers(200, refuses=(503,))
    async def GET(self, request: Request) -> Response:
        """200 if the server can take work: database and disk can be written to, a configuration is applied and current,
        Dex answers where there is one, and it is not draining. 503 otherwise, with the references of what is wrong."""
        conditions = await self.services.readiness.conditions()
        references = tuple(one.reference for one in conditions)
        if self.services.draining.active:
            return json_response(HealthView("draining", references), 503, (("retry-after", "60"),))
        if references:
            return json_response(HealthView("not-ready", references), 503, (("retry-after", "60"),))
        return json_response(HealthView("ready"))
