"""Sessions of browsers: created at login, found by their cookie, ended by idleness, age, logout or configuration."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.errors import NotFound, Unauthenticated
from danube_pkg.core.identity.access import Actor
from danube_pkg.core.identity.people import (
    SESSION_PREFIX,
    SESSION_SECONDS,
    TOUCH_SECONDS,
    BrowserSession,
    secret_hash,
)
from danube_pkg.core.identity.ports import SessionStore
from danube_pkg.kit.records import HIDDEN, Record
from danube_pkg.services.identity.bearer import BearerParts

USER_AGENT_LENGTH = 200


class Login(Record):
    """A logged-in user with the session. csrf_token: proves that a write comes from Danube's own page."""

    actor: Actor
    session: BrowserSession
    csrf_token: Annotated[str, HIDDEN]


class Sessions:
    """Creates, finds, lists and ends sessions."""

    def __init__(self, store: SessionStore, parts: BearerParts) -> None:
        self._store = store
        self._parts = parts
        self._access = parts.access
        self._clock = parts.clock

    async def begin(
        self,
        user_id: str,
        *,
        method: str,
        issuer: str = "",
        address: str,
        user_agent: str,
        groups: tuple[str, ...] = (),
        before: str | None = None,
    ) -> tuple[str, BrowserSession]:
        """A new session's secret, and the session. issuer: "" with a password. before: the secret of the browser's last
        session, which ends."""
        if before:
            await self.end_by_secret(before)
        secret = self._parts.new_secret(SESSION_PREFIX)
        now = self._clock.now()
        session = BrowserSession(
            id=self._parts.new_id(),
            user_id=user_id,
            method=method,
            groups=groups,
            address=address,
            user_agent=user_agent[:USER_AGENT_LENGTH],
            created_at=now,
            seen_at=now,
            expires_at=now + SESSION_SECONDS,
            issuer=issuer,
        )
        await self._store.add_session(session, secret_hash(secret))
        return secret, session

    async def find(self, secret: str) -> Login:
        """The user of a cookie's secret. Raises Unauthenticated."""
        session = await self._store.session_by_hash(secret_hash(secret))
        now = self._clock.now()
        actor = await self._access.actor(session.user_id, None, session.groups) if session else None
        if session is None or actor is None or not self._is_valid(session, now):
            if session is not None:
                await self._store.delete_session(session.user_id, session.id)
            raise Unauthenticated("session-ended", "you are no longer logged in", hint="log in again")
        if now > session.seen_at + TOUCH_SECONDS:
            await self._store.touch_session(session.id, now)
        return Login(actor, session, csrf_token(secret))

    def _is_valid(self, session: BrowserSession, now: float) -> bool:
        """A login counts only while users log in where it was made: another issuer vouches for its own accounts."""
        return session.alive(now) and session.issuer == self._parts.issuer()

    async def list(self, user_id: str) -> Sequence[BrowserSession]:
        now = self._clock.now()
        return [one for one in await self._store.list_sessions(user_id) if self._is_valid(one, now)]

    async def end(self, user_id: str, session_id: str) -> None:
        """Raises NotFound."""
        if not await self._store.delete_session(user_id, session_id):
            raise NotFound(
                "session-unknown", f"you have no session {session_id!r}", hint="the page lists yours under Account"
            )
        self._access.changed(user_id)

    async def end_all(self, user_id: str) -> int:
        """Log a user out everywhere; how many sessions ended."""
        count = await self._store.delete_sessions(user_id)
        self._access.changed(user_id)
        return count

    async def end_by_secret(self, secret: str) -> None:
        """Log out; does nothing for an unknown secret."""
        session = await self._store.session_by_hash(secret_hash(secret))
        if session is not None:
            await self._store.delete_session(session.user_id, session.id)
            self._access.changed(session.user_id)


def csrf_token(secret: str) -> str:
    """Derived from the cookie's secret, so that it need not be stored; the secret cannot be computed from it."""
    return hmac.new(secret.encode(errors="replace"), b"csrf", hashlib.sha256).hexdigest()
