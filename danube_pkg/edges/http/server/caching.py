"""Answers that are kept while nothing that is stored has changed, and ETags by which a client keeps them itself.

A list of jobs costs a millisecond to make and is asked for by every open page. The store's version is part of the key, so
nothing is ever shown that a commit has made wrong.
"""

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import blake2b
from typing import Any

from danube_pkg.edges.http.server.compression import compress, takes_gzip
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.kit.records import encode_json

KEPT_BYTES = 8 * 1024**2
"""Some three hundred pages of lists; a team looks at a dozen."""


class AnswerCache:
    """The least recently used answers go first; all go when the version changes."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, Response] = OrderedDict()
        self._version = -1
        self._bytes = 0

    def find(self, version: int, key: Hashable) -> Response | None:
        if version != self._version:
            self._version = version
            self._answers.clear()
            self._bytes = 0
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def keep(self, version: int, key: Hashable, response: Response) -> None:
        """Nothing is kept that was made of a state which is not the present one any more."""
        if version != self._version or key in self._answers:
            return
        self._answers[key] = response
        self._bytes += _size(response)
        while self._bytes > KEPT_BYTES:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(response: Response) -> int:
    return len(response.body) if isinstance(response.body, bytes) else 0


def entity_tag(body: bytes) -> str:
    """A strong validator of exactly these bytes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def revalidated(request: Request, etag: str) -> bool:
    """Whether the client has it already (`If-None-Match`, RFC 9110 section 13.1.2)."""
    known = request.headers.get("if-none-match")
    return known is not None and (known == "*" or etag in [one.strip().removeprefix("W/") for one in known.split(",")])


def json_answer(request: Request, value: Any) -> Response:
    """JSON with an ETag, compressed for a client that takes it."""
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
    """304 where the client has this very answer. It says again what may be done with it: a browser takes the policy and the
    caching of the newest answer for the whole (RFC 9111 section 3.2)."""
    etag = dict(response.headers).get("etag", "")
    if etag and revalidated(request, etag):
        return Response(304, b"", tuple(one for one in response.headers if one[0] in _SAID_AGAIN))
    return response


_SAID_AGAIN = frozenset({"etag", "cache-control", "vary", "content-security-policy"})
