"""Whether the server is there, whether it can work, and its figures for Prometheus. None of them needs a login."""

from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.kit.records import Record


class HealthView(Record):
    """`status`: ok, ready or draining. `conditions`: names of what keeps people from something while the server itself is
    well, `dex-not-running` for example; `danube config status` says more."""

    status: str
    conditions: tuple[str, ...] = ()


class Health(Resource):
    """`/health`."""

    async def GET(self, request: Request) -> HealthView:
        """The process answers; what is beside it may not."""
        dex = self.services.dex
        conditions = await dex.conditions() if dex is not None else ()
        return HealthView("ok", tuple(one.reference for one in conditions))


class Readiness(Resource):
    """`/health/ready`."""

    @answers(200, refuses=(503,))
    async def GET(self, request: Request) -> Response:
        """It can take work: the database answers and nobody is draining it. 503 otherwise."""
        await self.services.jobs.list_jobs(JobFilter(limit=1))
        if self.services.draining.active:
            return json_response(HealthView("draining"), 503, (("retry-after", "60"),))
        return json_response(HealthView("ready"))
