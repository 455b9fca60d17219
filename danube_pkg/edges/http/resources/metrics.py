"""Metrics for Prometheus. They need no login; a token names the pipelines that its owner may see."""

from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import client_address

CONTENT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Resource):
    """`/metrics`."""

    @answers(200, content=CONTENT, refuses=(401, 404))
    async def GET(self, request: Request) -> Response:
        """Metrics in Prometheus' text format, unless the configuration disables them. Without a token pipelines without
        a public badge are summed as `(private)`, unless `observability.metrics_pipeline_names` is true."""
        observability = self.services.configuration.applied.config.observability
        if not observability.metrics_enabled:
            raise NotFound(
                "metrics-off",
                "metrics are disabled on this server",
                hint="config.yaml: observability.metrics_enabled: true",
            )
        readable = await self._readable(request)
        pipelines = self.services.configuration.applied.state.pipelines
        names = frozenset(name for name, one in pipelines.items() if one.spec.badge) | (readable or frozenset())
        every = readable is None or observability.metrics_pipeline_names
        text = self.services.requests.metrics.text(names.__contains__, all_names=every)
        return Response(200, text, (("content-type", CONTENT),))

    async def _readable(self, request: Request) -> frozenset[str] | None:
        """The pipelines that the caller may see by their token; None for all. Raises Unauthenticated."""
        header = request.headers.get("authorization")
        if header is None:
            return None if request.local else frozenset()
        address = client_address(request, self.services.site)
        actor = await self.services.identity.logins.tokens.find(header.removeprefix("Bearer ").strip(), address)
        return await self.services.identity.access.readable(actor)
