"""Idempotency keys: a repeated POST with the same key is answered as the first one was, and does nothing a second time.

The key is reserved, together with the id that the new thing will have, before anything is done. So even a server that died
between the deed and its answer finds, when the client asks again, that the thing is there already.
"""

import re

from danube_pkg.kit.records import Record

KEEP_SECONDS = 86400.0
"""A client that retries for longer has given up."""

MAX_KEYS = 10_000
"""More than a day of a busy team's triggers; beyond it the oldest are forgotten."""

KEY_PATTERN = r"[\x21-\x7e]{1,128}"


class Reservation(Record):
    """`fingerprint`: SHA-256 of method, path and body; `status` and `body`: the answer, once it was given."""

    actor: str
    key: str
    fingerprint: bytes
    reserved_id: str
    created_at: float
    status: int | None = None
    body: bytes | None = None


def is_key(text: str) -> bool:
    """Whether a header can be a key."""
    return re.fullmatch(KEY_PATTERN, text) is not None
