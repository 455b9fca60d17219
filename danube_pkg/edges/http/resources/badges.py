"""Badges of pipelines, without a login, for pipelines that are configured to have one."""

from danube_pkg.core.identity.access import unknown_pipeline
from danube_pkg.edges.http.server.caching import entity_tag, unless_known
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.badge import badge

NEWEST_READ = 20
"""How many of the newest jobs are read. If none of them has ended, the badge says `no runs`."""


class Badge(Resource):
    """`/badges/{badge}`."""

    @answers(200, 304, content="image/svg+xml", refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """How a pipeline's last job ended, as an SVG. The pipeline must be configured with `badge: true`; the answer is
        the same for a pipeline without it and for an unknown one."""
        name = request.arguments["badge"].removesuffix(".svg")
        definition = self.services.configuration.applied.state.pipelines.get(name)
        if definition is None or not definition.spec.badge:
            raise unknown_pipeline(name)
        newest = (await self.services.jobs.store.newest_runs([name], NEWEST_READ)).get(name, ())
        picture = badge(name, next((job.status for job in newest if job.status.ended), None)).encode()
        headers = (("content-type", "image/svg+xml"), ("etag", entity_tag(picture)), ("cache-control", "no-cache"))
        # Pages of other sites show it in a README, so it may be loaded across origins.
        return unless_known(
            request, Response(200, picture, (*headers, ("cross-origin-resource-policy", "cross-origin")))
        )
