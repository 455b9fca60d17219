"""Webhook deliveries of forges. A valid signature takes the place of a login."""

from danube_pkg.core.errors import TooLarge
from danube_pkg.core.repositories.forge_hooks import marker_of
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.deliveries import MAX_BODY_BYTES
from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.body_memory import BodyMemory
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.webhooks import HookReceipt

SMALL_BYTES = 1024**2
"""A push of dozens of commits has 100 KB, so that few deliveries are larger."""

LARGE_BODIES = 4
"""How many bodies of the largest size are read at once: unauthenticated clients can send them too."""

FORGE_PATTERN = "|".join(Forge)


class WebhookReceiver(Resource):
    """`/hooks/{forge}`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._memory = BodyMemory(LARGE_BODIES * MAX_BODY_BYTES, SMALL_BYTES)

    @answers(202, 200, 204, refuses=(400, 401, 403, 413, 503), takes="application/json")
    async def POST(self, request: Request) -> HookReceipt | Response:
        """Receive a webhook delivery: 202 once it is stored, 200 if it arrived before and for a ping, 204 if the event
        is ignored. One that is authentic and cannot be read gets 400 and is listed by `/api/v1/deliveries`. With any
        other answer nothing was stored."""
        self.services.jobs.draining.check()
        found = await self.services.triggers.webhooks.receive(
            Forge(request.arguments["forge"]),
            request.headers,
            await self._body(request),
            marker_of(request.query_text),
        )
        if not found.is_meant:
            return Response(204)
        if found.is_ping:
            return json_response(HookReceipt(found.id, "pong"), 200)
        request.audited_as = f"delivery {found.id}"
        if not found.is_new:
            return json_response(HookReceipt(found.id, "known"), 200)
        return HookReceipt(found.id, "accepted" if found.has_pipeline else "no-pipeline")

    async def _body(self, request: Request) -> bytes:
        length = request.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else MAX_BODY_BYTES
        if size > MAX_BODY_BYTES:
            what = f"a webhook delivery has at most {MAX_BODY_BYTES} bytes"
            raise TooLarge("body-too-large", what, hint="push fewer commits at once")
        return await request.read_body(MAX_BODY_BYTES, self._memory)
