"""Dex behind our own address: `/dex/…` goes through as it is, prefix included, since its issuer's URL has it."""

from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.messages import Request, Response
from danube_pkg.edges.http.resource import Resource, answers
from danube_pkg.edges.http.security import PAGE_POLICY

FORM = "application/x-www-form-urlencoded"
BODY_BYTES = 64 * 1024
"""A login form, a token request."""


class Dex(Resource):
    """`/dex/{rest*}`."""

    @answers(200, 302, 303, content="text/html", refuses=(400, 401, 403, 404, 413, 500, 503))
    async def GET(self, request: Request) -> Response:
        """Dex's pages, keys and discovery."""
        return await self._forward(request, b"")

    @answers(200, 302, 303, content="text/html", takes=FORM, refuses=(400, 401, 403, 404, 413, 500, 503))
    async def POST(self, request: Request) -> Response:
        """Dex's forms and its token endpoint."""
        return await self._forward(request, await request.read_body(BODY_BYTES))

    async def _forward(self, request: Request, body: bytes) -> Response:
        dex = self.services.site.dex
        if dex is None:
            raise NotFound("no-dex", "this server has no Dex", hint="danube install sets one up")
        target = request.path + (f"?{request.query_text}" if request.query_text else "")
        status, headers, data = await dex.forward(request.method, target, request.headers, body)
        return Response(status, data, (*headers, ("content-security-policy", PAGE_POLICY)))
