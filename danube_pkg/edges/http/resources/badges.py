"""Badges of pipelines, for whoever looks at a README: there where the pipeline says so, and nowhere else."""

from danube_pkg.core.identity.access import unknown_pipeline
from danube_pkg.edges.http.server.caching import entity_tag, unless_known
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.badge import badge

LOOKED_AT = 20
"""Of the newest jobs; when none of so many has ended, the badge says that there are no runs."""


class Badge(Resource):
    """`/badges/{badge}`."""

    @answers(200, 304, content="image/svg+xml", refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """How the last job of a pipeline ended, as a picture. A pipeline says `badge: true` to have one; for all others, and
        for what is no pipeline, the answer is the same."""
        name = request.arguments["badge"].removesuffix(".svg")
        configuration = self.services.configuration
        definition = configuration.state.pipelines.get(name) if configuration is not None else None
        if definition is None or not definition.spec.badge:
            raise unknown_pipeline(name)
        newest = (await self.services.jobs.newest_runs([name], LOOKED_AT)).get(name, ())
        picture = badge(name, next((job.status for job in newest if job.status.ended), None)).encode()
        headers = (("content-type", "image/svg+xml"), ("etag", entity_tag(picture)), ("cache-control", "no-cache"))
        # A README of another site shows it, which is what it is for.
        return unless_known(
            request, Response(200, picture, (*headers, ("cross-origin-resource-policy", "cross-origin")))
        )
