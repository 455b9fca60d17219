"""People as the server remembers them, and the proofs by which it knows them again: sessions and API tokens.

A secret of either kind is 32 random bytes behind a prefix that secret scanners can look for. Only its SHA-256 is stored:
with so much randomness nothing slower is needed, and a copy of the database lets nobody in.
"""

import base64
import hashlib

from danube_pkg.core.identity.access import Scope
from danube_pkg.kit.records import Record

SECRET_BYTES = 32
SESSION_PREFIX = "ds1_"
TOKEN_PREFIX = "dt1_"

SESSION_IDLE_SECONDS = 12 * 3600.0
"""A working day away from the page ends the session."""

SESSION_SECONDS = 14 * 86400.0
"""Whatever somebody does, after two weeks they prove again who they are."""

MAX_SESSIONS = 50
"""Of one person; the oldest ends when another begins."""

MAX_TOKENS = 100
"""Of one person: one for each machine and script, many times over."""

TOKEN_DAYS = 90
MAX_TOKEN_DAYS = 366

TOUCH_SECONDS = 60.0
"""The last use is written at most so often: it is for people, and each write costs a commit."""


class Person(Record):
    """Somebody of the configuration. `subject`: the issuer's `sub`, bound at the first login."""

    id: str
    name: str
    email: str
    password_hash: str = ""
    subject: str = ""
    removed: bool = False


class BrowserSession(Record):
    """A browser's login. `method`: password or oidc; `groups`: what the issuer said of the person when they logged in."""

    id: str
    user_id: str
    method: str
    groups: tuple[str, ...]
    address: str
    user_agent: str
    created_at: float
    seen_at: float
    expires_at: float

    def alive(self, now: float) -> bool:
        return now < self.expires_at and now < self.seen_at + SESSION_IDLE_SECONDS


class Token(Record):
    """An API token. `used_at` is exact to a minute."""

    id: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    groups: tuple[str, ...]
    created_at: float
    expires_at: float
    used_at: float | None = None
    used_from: str = ""


def new_secret(prefix: str, randomness: bytes) -> str:
    """`randomness`: SECRET_BYTES of it."""
    return prefix + base64.urlsafe_b64encode(randomness).rstrip(b"=").decode()


def secret_hash(secret: str) -> bytes:
    """What is stored, and looked up by."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()
