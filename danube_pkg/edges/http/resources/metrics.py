"""The server's metrics for Prometheus. They need no login."""

from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers

CONTENT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Resource):
    """`/metrics`."""

    @answers(200, content=CONTENT, refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """Figures for Prometheus, unless the configuration switches them off."""
        configuration = self.services.configuration
        if configuration is not None and not configuration.config.observability.metrics_enabled:
            raise NotFound(
                "metrics-off", "this server shows no figures", hint="config.yaml: observability.metrics_enabled"
            )
        return Response(200, self.services.metrics.text(), (("content-type", CONTENT),))
