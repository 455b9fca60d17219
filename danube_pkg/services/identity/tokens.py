"""API tokens: made with scopes and an expiry, shown once, found by their hash."""

from collections.abc import Sequence

from danube_pkg.core.errors import Forbidden, Invalid, NotFound, Unauthenticated
from danube_pkg.core.identity.access import Actor, Scope
from danube_pkg.core.identity.people import (
    MAX_TOKEN_DAYS,
    TOKEN_PREFIX,
    TOUCH_SECONDS,
    Token,
    secret_hash,
)
from danube_pkg.core.identity.ports import TokenStore
from danube_pkg.services.identity.bearer import BearerParts

DAY_SECONDS = 86400.0


class Tokens:
    """Creates, finds, lists and revokes API tokens."""

    def __init__(self, store: TokenStore, parts: BearerParts) -> None:
        self._store = store
        self._parts = parts
        self._access = parts.access
        self._clock = parts.clock

    async def create(
        self, user_id: str, name: str, scopes: frozenset[Scope], days: int, groups: tuple[str, ...] = ()
    ) -> tuple[str, Token]:
        """The token's text, which is not stored, and its record. Raises Invalid, Conflict."""
        if not scopes:
            words = ", ".join(Scope)
            raise Invalid("token-scopes", "a token needs a scope", hint=f"--scope, several times: {words}")
        if not 1 <= days <= MAX_TOKEN_DAYS:
            raise Invalid("token-days", f"a token expires in 1 to {MAX_TOKEN_DAYS} days", hint="--expires 90")
        secret = self._parts.new_secret(TOKEN_PREFIX)
        now = self._clock.now()
        issuer = self._parts.issuer()
        token = Token(self._parts.new_id(), user_id, name, scopes, groups, now, now + days * DAY_SECONDS, issuer=issuer)
        await self._store.add_token(token, secret_hash(secret))
        return secret, token

    async def create_as(self, actor: Actor, name: str, scopes: frozenset[Scope], days: int) -> tuple[str, Token]:
        """A token for the caller, whose own token's scopes it cannot exceed. Raises Forbidden, and as `create`."""
        if not actor.user_id:
            raise Forbidden(
                "token-without-user",
                "the local administrator has no tokens",
                cause="a token belongs to a user of the configuration",
                hint="log in as one: danube login URL",
            )
        if actor.scopes is not None and not scopes <= actor.scopes:
            raise Forbidden(
                "token-scope",
                "a token cannot create one with more scopes than its own",
                hint="log in anew for one with more scopes: danube login URL",
            )
        return await self.create(actor.user_id, name, scopes, days)

    async def find(self, secret: str, address: str) -> Actor:
        """The user of a token, who is recorded as using it from that address. Raises Unauthenticated."""
        cache, key = self._access.cache(), ("token", secret_hash(secret))
        token = cache[key] if key in cache else await self._store.token_by_hash(key[1])
        if token is not None:
            cache[key] = token  # unknown tokens are not cached: unauthenticated clients would fill the memory
        if token is None:
            raise Unauthenticated("token-unknown", "this token is not known", hint="danube login URL")
        now = self._clock.now()
        # A group's name means something at its own issuer only.
        groups = token.groups if token.issuer == self._parts.issuer() else ()
        actor = await self._access.actor(token.user_id, token.scopes, groups)
        if actor is None or now >= token.expires_at:
            raise Unauthenticated("token-expired", "this token has expired", hint="danube login URL")
        if token.used_at is None or now > token.used_at + TOUCH_SECONDS or address != token.used_from:
            await self._store.touch_token(token.id, now, address)
        return actor

    async def list(self, user_id: str) -> Sequence[Token]:
        return await self._store.list_tokens(user_id)

    async def revoke(self, user_id: str, token_id: str) -> None:
        """Raises NotFound."""
        if not await self._store.delete_token(user_id, token_id):
            raise NotFound("token-unknown", f"you have no token {token_id!r}", hint="danube token list")
        self._access.changed(user_id)

    async def revoke_all(self, user_id: str) -> int:
        """How many tokens a user had."""
        count = await self._store.delete_tokens(user_id)
        self._access.changed(user_id)
        return count
