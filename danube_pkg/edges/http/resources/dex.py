"""Forwards `/dex/…` to the Dex that this server runs. The prefix stays: it is part of the issuer's URL."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from danube_pkg.core.errors import Invalid, NotFound
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import PAGE_POLICY, client_address

FORM = "application/x-www-form-urlencoded"
BODY_BYTES = 64 * 1024
"""Room for a login form or a token request."""

MAX_FIELDS = 100
MAX_ACCOUNT = 254
"""The longest e-mail address (RFC 5321)."""


class DexResource(Resource):
    """`/dex/{rest*}`."""

    @answers(200, 302, 303, content="text/html", refuses=(400, 401, 403, 404, 413, 500, 503))
    async def GET(self, request: Request) -> Response:
        """Dex's pages, keys and discovery."""
        return await self._forward(request, b"")

    @answers(200, 302, 303, content="text/html", takes=FORM, refuses=(400, 401, 403, 404, 413, 429, 500, 503))
    async def POST(self, request: Request) -> Response:
        """Dex's forms and its token endpoint. Failed passwords are limited as at Danube's own login."""
        body = await request.read_body(BODY_BYTES)
        form = _fields(body)
        if "password" not in form:
            return await self._forward(request, body)
        account = form.get("login", "")[:MAX_ACCOUNT]
        request.audited_as = account
        succeeded = self.services.identity.logins.passwords.begin(account, client_address(request, self.services.site))
        response = await self._forward(request, body)
        if response.status in (302, 303):
            succeeded()
        return response

    async def _forward(self, request: Request, body: bytes) -> Response:
        dex = self.services.site.dex
        if dex is None:
            raise NotFound(
                "no-dex", "this server does not run Dex", hint="[dex] in danube.toml makes the server run one"
            )
        target = request.path + (f"?{request.query_text}" if request.query_text else "")
        status, headers, data = await dex.forward(request.method, target, request.headers, body)
        return Response(status, data, (*headers, ("content-security-policy", PAGE_POLICY)))


def _fields(body: bytes) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Invalid(
            "form-invalid", "the form cannot be read", cause=str(error), hint="use the form on Dex's login page"
        ) from error
