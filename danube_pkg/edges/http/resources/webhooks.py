"""Webhooks of forges: the signature is the login."""

import asyncio

from danube_pkg.core.errors import TooLarge
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.deliveries import MAX_BODY_BYTES
from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record

LARGE_BYTES = 1024**2
"""A push of dozens of commits has 100 KB."""

LARGE_AT_ONCE = 4
"""Larger bodies are read by so few at a time: strangers can send them too."""

FORGE_PATTERN = "|".join(Forge)


class HookReceipt(Record):
    """`delivery`: the forge's own id. `status`: accepted, known (it came before), or pong."""

    delivery: str
    status: str


class WebhookReceiver(Resource):
    """`/hooks/{forge}`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    @answers(202, 200, 204, refuses=(400, 401, 404, 413, 503), takes="application/json")
    async def POST(self, request: Request) -> HookReceipt | Response:
        """A delivery of a forge: 202 once it is on disk, 200 for one that came before and for a ping, 204 for an event of
        which nothing follows. Every other answer means that nothing was taken."""
        self.services.draining.check()
        found = await self.services.webhooks.receive(
            Forge(request.arguments["forge"]), request.headers, await self._body(request)
        )
        if not found.is_meant:
            return Response(204)
        if found.is_ping:
            return json_response(HookReceipt(found.id, "pong"), 200)
        request.audited_as = f"delivery {found.id}"
        return HookReceipt(found.id, "accepted") if found.is_new else json_response(HookReceipt(found.id, "known"), 200)

    async def _body(self, request: Request) -> bytes:
        length = request.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else MAX_BODY_BYTES
        if size > MAX_BODY_BYTES:
            raise TooLarge(
                "body-too-large", f"a delivery has at most {MAX_BODY_BYTES} bytes", hint="send less, or in parts"
            )
        if size <= LARGE_BYTES:
            return await request.read_body(size)
        async with self._large:
            return await request.read_body(MAX_BODY_BYTES)
