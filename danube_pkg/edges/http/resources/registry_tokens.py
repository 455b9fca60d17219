"""The token service of the server's own registry. A credential of Danube takes the place of a login."""

import base64
import binascii
from urllib.parse import parse_qs

from danube_pkg.core.errors import NotFound, Permanent, Unauthenticated
from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource

MAX_HEADER_CHARACTERS = 4096


class RegistryTokenService(Resource):
    """`/registry/token`, as the registry's clients call it."""

    async def GET(self, request: Request) -> Response:
        """A token for the scopes of the query, with HTTP basic authentication (RFC 7617).

        A refused push is answered in the form of registries, whose clients show the message.
        """
        tokens = self.services.images.registry_tokens
        if tokens is None:
            hint = "in danube.toml: [registry] token_url"
            raise NotFound("registry-tokens-off", "this server issues no tokens for a registry", hint=hint)
        query = parse_qs(request.query_text)
        service = query.get("service", [""])[0]
        try:
            answer = await tokens.issue(_password(request), service, query.get("scope", []))
        except Permanent as error:
            if error.reference not in ("push-not-allowed", "push-untrusted"):
                raise
            message = f"{error}; {error.hint}"
            return json_response({"errors": [{"code": "DENIED", "message": message}]}, 403)
        return json_response(answer, 200)


def _password(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    try:
        text = base64.b64decode(value[:MAX_HEADER_CHARACTERS], validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    _, colon, password = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        what = "the request carries no user and password"
        raise Unauthenticated("registry-credential-missing", what, hint="push by a step: step.build_image(…)")
    return password
