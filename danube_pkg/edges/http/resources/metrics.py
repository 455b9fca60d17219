"""Metrics for Prometheus. They need no login."""

from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers

CONTENT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Resource):
    """`/metrics`."""

    @answers(200, content=CONTENT, refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """Metrics in Prometheus' text format, unless the configuration disables them."""
        if not self.services.applied.config.observability.metrics_enabled:
            raise NotFound(
                "metrics-off",
                "metrics are disabled on this server",
                hint="config.yaml: observability.metrics_enabled: true",
            )
        return Response(200, self.services.metrics.text(), (("content-type", CONTENT),))
