"""API tokens: made for a purpose and a time, shown once, known again by their hash."""

from collections.abc import Callable, Sequence

from danube_pkg.core.errors import Forbidden, Invalid, NotFound, Unauthenticated
from danube_pkg.core.identity.access import Actor, Scope
from danube_pkg.core.identity.people import (
    MAX_TOKEN_DAYS,
    SECRET_BYTES,
    TOKEN_PREFIX,
    TOUCH_SECONDS,
    Token,
    new_secret,
    secret_hash,
)
from danube_pkg.core.identity.ports import TokenStore
from danube_pkg.kit.clock import Clock
from danube_pkg.services.identity.access import Access

DAY_SECONDS = 86400.0


class Tokens:
    """Creates, finds, lists and revokes them."""

    def __init__(
        self,
        store: TokenStore,
        access: Access,
        clock: Clock,
        new_id: Callable[[], str],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._new_id = new_id
        self._random = random

    async def create(
        self, user_id: str, name: str, scopes: frozenset[Scope], days: int, groups: tuple[str, ...] = ()
    ) -> tuple[str, Token]:
        """The token's text, which nobody can read again, and its record. Raises Invalid, Conflict."""
        if not scopes:
            words = ", ".join(Scope)
            raise Invalid("token-scopes", "a token is for something", hint=f"--scope, several times: {words}")
        if not 1 <= days <= MAX_TOKEN_DAYS:
            raise Invalid("token-days", f"a token lives 1 to {MAX_TOKEN_DAYS} days", hint="--expires 90")
        secret = new_secret(TOKEN_PREFIX, self._random(SECRET_BYTES))
        now = self._clock.now()
        token = Token(self._new_id(), user_id, name, scopes, groups, now, now + days * DAY_SECONDS)
        await self._store.add_token(token, secret_hash(secret))
        return secret, token

    async def create_as(self, actor: Actor, name: str, scopes: frozenset[Scope], days: int) -> tuple[str, Token]:
        """For the one who asks; a token makes none with more scopes than its own. Raises Forbidden beside the others."""
        if not actor.user_id:
            raise Forbidden(
                "token-of-nobody",
                "the local administrator has no tokens",
                cause="a token belongs to a person of the configuration",
                hint="log in as one: danube login URL",
            )
        if actor.scopes is not None and not scopes <= actor.scopes:
            raise Forbidden(
                "token-scope",
                "a token cannot make one that may more than itself",
                hint="log in anew for one with more scopes: danube login URL",
            )
        return await self.create(actor.user_id, name, scopes, days)

    async def find(self, secret: str, address: str) -> Actor:
        """Who comes with that token. Raises Unauthenticated."""
        kept, key = self._access.kept(), ("token", secret_hash(secret))
        token = kept[key] if key in kept else await self._store.token_by_hash(key[1])
        if token is not None:
            kept[key] = token  # an unknown one is not kept: strangers would fill the memory with them
        if token is None:
            raise Unauthenticated("token-unknown", "this token is not known", hint="danube login URL")
        now = self._clock.now()
        actor = await self._access.actor(token.user_id, token.scopes, token.groups)
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
