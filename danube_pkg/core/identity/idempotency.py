"""Idempotency keys: a repeated POST with the same key gets the response of the first one and has no second effect.

The key is reserved, together with the id of the object that will be created, before anything is done. So a server that
crashed between creating the object and answering finds the object by its id when the client repeats the request.
"""

import re

from danube_pkg.kit.records import Record

KEEP_SECONDS = 86400.0
"""A day: clients do not retry for longer."""

MAX_KEYS = 10_000
"""More than a busy team's POST requests of a day; beyond it the oldest are deleted."""

KEY_PATTERN = r"[\x21-\x7e]{1,128}"


class Reservation(Record):
    """A key and what it was used for. fingerprint: SHA-256 of method, path and body. status, body: the response, once
    there is one. created_at: Unix seconds."""

    actor: str
    key: str
    fingerprint: bytes
    reserved_id: str
    created_at: float
    status: int | None = None
    body: bytes | None = None


def is_key(text: str) -> bool:
    """Whether a header's value is a valid key."""
    return re.fullmatch(KEY_PATTERN, text) is not None
