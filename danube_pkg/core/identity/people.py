"""Users as stored by the server, and how they authenticate: browser sessions and API tokens.

The secret of either is 32 random bytes behind a prefix that secret scanners can find. Only its SHA-256 is stored: for
random values no slower hash is needed, and a copy of the database does not let anyone log in.
"""

import base64
import hashlib

from danube_pkg.core.identity.access import Scope
from danube_pkg.kit.records import Record

SECRET_BYTES = 32
SESSION_PREFIX = "ds1_"
TOKEN_PREFIX = "dt1_"

SESSION_IDLE_SECONDS = 12 * 3600.0
"""A session ends when it was not used for a working day."""

SESSION_SECONDS = 14 * 86400.0
"""A session ends after two weeks, however much it is used."""

MAX_SESSIONS = 50
"""Sessions of one user; a new one ends the oldest."""

MAX_TOKENS = 100
"""Tokens of one user: more than one for each machine and script."""

TOKEN_DAYS = 90
MAX_TOKEN_DAYS = 366

TOUCH_SECONDS = 60.0
"""How often the last use is written at most: each write costs a commit, and lists need no more."""


class Person(Record):
    """A user. issuer, subject: the account (`iss`, `sub`) that is bound to the user since their first login there, ""
    while there is none. removed: no longer in the configuration."""

    id: str
    name: str
    email: str
    password_hash: str = ""
    issuer: str = ""
    subject: str = ""
    removed: bool = False


class BrowserSession(Record):
    """A browser's login. method: password or oidc. issuer: where the user logged in, "" with a password. groups: the
    user's groups there at the time of the login. Times are Unix seconds."""

    id: str
    user_id: str
    method: str
    groups: tuple[str, ...]
    address: str
    user_agent: str
    created_at: float
    seen_at: float
    expires_at: float
    issuer: str = ""

    def alive(self, now: float) -> bool:
        return now < self.expires_at and now < self.seen_at + SESSION_IDLE_SECONDS


class Token(Record):
    """An API token. issuer: where the groups are from, "" without any. Times are Unix seconds; `used_at` is exact to a
    minute. used_from: the address of the last use."""

    id: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    groups: tuple[str, ...]
    created_at: float
    expires_at: float
    used_at: float | None = None
    used_from: str = ""
    issuer: str = ""


def new_secret(prefix: str, randomness: bytes) -> str:
    """The secret of a new session or token. randomness: SECRET_BYTES random bytes."""
    return prefix + base64.urlsafe_b64encode(randomness).rstrip(b"=").decode()


def secret_hash(secret: str) -> bytes:
    """The SHA-256 by which a session or token is stored and looked up."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()
