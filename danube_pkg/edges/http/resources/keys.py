"""The keys that sign provenance: their public halves, and a rotation."""

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.keys import SigningKeyList, SigningKeyView, signing_key_list, signing_key_view


class SigningKeysResource(Resource):
    """`/.well-known/danube-signing-keys.json`."""

    async def GET(self, request: Request) -> SigningKeyList:
        """The public halves of the keys that sign provenance, the retired ones included. No login is needed."""
        return signing_key_list(self.services.provenance.signing_keys.public_keys())


class RotateSigningKey(Resource):
    """`/api/v1/keys/rotate`."""

    async def POST(self, request: Request) -> SigningKeyView:
        """Make a new signing key. The old one's public half stays listed, so that what it signed is still verified."""
        return signing_key_view(await self.services.provenance.signing_keys.rotate())
