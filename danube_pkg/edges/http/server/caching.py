"""A cache of answers that holds until the store changes, and ETags for the caches of clients.

A list of jobs takes a millisecond to make, and every open page requests it. The cache is emptied when the store's
version changes, so an outdated answer is never sent.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from hashlib import blake2b
from typing import Any

from danube_pkg.edges.http.server.compression import compress, takes_gzip
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.kit.records import encode_json

MAX_BYTES = 8 * 1024**2
"""About three hundred pages of lists; a team uses a dozen."""


class AnswerCache:
    """Answers to one list. Over MAX_BYTES the least recently used are dropped."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, Response] = OrderedDict()
        self._version = -1
        self._bytes = 0

    async def respond(
        self, request: Request, version: int, key: Hashable, make: Callable[[], Awaitable[Any]]
    ) -> Response:
        """The cached answer or a new one, as JSON with an ETag; 304 if the client has it. version: of the store, read
        before what the answer depends on. key: all that the answer depends on beside the store. make: returns the
        record."""
        key = (key, takes_gzip(request))
        response = self._find(version, key)
        if response is None:
            response = json_answer(request, await make())
            self._keep(version, key, response)
        return unless_known(request, response)

    def _find(self, version: int, key: Hashable) -> Response | None:
        if version != self._version:
            self._version = version
            self._answers.clear()
            self._bytes = 0
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def _keep(self, version: int, key: Hashable, response: Response) -> None:
        """An answer that was made from an older version than the current one is not kept."""
        if version != self._version or key in self._answers:
            return
        self._answers[key] = response
        self._bytes += _size(response)
        while self._bytes > MAX_BYTES:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(response: Response) -> int:
    return len(response.body) if isinstance(response.body, bytes) else 0


def entity_tag(body: bytes) -> str:
    """A strong validator (RFC 9110 section 8.8.1) for these bytes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def revalidated(request: Request, etag: str) -> bool:
    """Whether the client's cached answer is current (`If-None-Match`, RFC 9110 section 13.1.2)."""
    known = request.headers.get("if-none-match")
    return known is not None and (known == "*" or etag in [one.strip().removeprefix("W/") for one in known.split(",")])


def json_answer(request: Request, value: Any) -> Response:
    """JSON with an ETag, compressed if the client accepts gzip."""
    body, coding = encode_json(value), dict[str, str]()
    if takes_gzip(request):
        body, coding = compress(body), {"content-encoding": "gzip"}
    headers = {
        "content-type": "application/json",
        "etag": entity_tag(body),
        "vary": "accept-encoding",
        "cache-control": "private, no-cache",
        **coding,
    }
    return Response(200, body, tuple(headers.items()))


def unless_known(request: Request, response: Response) -> Response:
    """304 if the client has this answer. Headers about caching and policy are repeated, since a browser updates its
    stored answer with those of the newest one (RFC 9111 section 3.2)."""
    etag = dict(response.headers).get("etag", "")
    if etag and revalidated(request, etag):
        return Response(304, b"", tuple(one for one in response.headers if one[0] in _REPEATED))
    return response


_REPEATED = frozenset({"etag", "cache-control", "vary", "content-security-policy"})
