"""`Idempotency-Key` on a POST; `core.identity.idempotency` has what it guarantees."""

import hashlib
from collections.abc import Awaitable, Callable

from danube_pkg.core.errors import Conflict, Invalid, Permanent
from danube_pkg.core.identity.idempotency import Reservation, is_key
from danube_pkg.edges.http.server.body_memory import BodyMemory
from danube_pkg.edges.http.server.messages import BodyReader, Request, Response
from danube_pkg.edges.http.server.resource import BODY_BYTES
from danube_pkg.edges.http.services import Services

HEADER = "idempotency-key"
REPLAYED = ("idempotency-replayed", "true")


class KeyReused(Permanent):
    """The key was used for another request."""


class Idempotency:
    """Answers a repeated request as the first one was answered."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._running: set[tuple[str, str]] = set()

    async def answer(self, request: Request, work: Callable[[Request], Awaitable[Response]]) -> Response:
        """Raises Invalid, Conflict, KeyReused, and what the work raises. A Permanent error releases the key."""
        key = request.headers[HEADER]
        if not is_key(key):
            raise Invalid(
                "idempotency-key-invalid",
                "an Idempotency-Key has 1 to 128 printable ASCII characters",
                hint="use a UUID",
            )
        who = request.actor.user_id or request.actor.name
        if (who, key) in self._running:
            raise Conflict(
                "idempotency-key-busy",
                "the first request with this key is still being answered",
                hint="repeat the request with the same key in a moment",
            )
        self._running.add((who, key))
        try:
            return await self._answer(request, work, who, key)
        finally:
            self._running.discard((who, key))

    async def _answer(
        self, request: Request, work: Callable[[Request], Awaitable[Response]], who: str, key: str
    ) -> Response:
        body = await request.read_body(BODY_BYTES)
        request.read_body = _given(body)
        text = "\0".join((request.method, request.path, request.query_text)).encode()
        fingerprint = hashlib.sha256(text + b"\0" + body).digest()
        now = self._services.clock.now()
        store = self._services.requests.idempotency
        known = await store.reserve(Reservation(who, key, fingerprint, self._services.requests.new_id(), now))
        if known.fingerprint != fingerprint:
            raise KeyReused(
                "idempotency-key-reused",
                "this key was used for another request",
                hint="use a new key for each request",
            )
        if known.status is not None:
            return Response(known.status, known.body or b"", (("content-type", "application/json"), REPLAYED))
        request.reserved_id = known.reserved_id
        try:
            response = await work(request)
        except Permanent:
            await store.release(known)  # nothing was done; after any other error a retry must get the same id
            raise
        await store.keep_answer(known, response.status, response.body if isinstance(response.body, bytes) else b"")
        return response


def _given(body: bytes) -> BodyReader:
    async def read(limit_bytes: int, memory: BodyMemory | None = None) -> bytes:
        return body

    return read
