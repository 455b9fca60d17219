"""What receivers of identity tokens read: where the keys are, and the keys."""

from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers


class IdentityDiscovery(Resource):
    """`/.well-known/openid-configuration`."""

    @answers(200, refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """The issuer of jobs' identity tokens (OpenID Connect Discovery 1.0). No login is needed."""
        return json_response(self.services.jobs.id_tokens.discovery(), 200)


class IdentityKeySet(Resource):
    """`/.well-known/danube-identity-keys.json`."""

    @answers(200, refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """The keys of jobs' identity tokens, as a JWK set (RFC 7517). No login is needed."""
        return json_response(await self.services.jobs.id_tokens.key_set(), 200)
