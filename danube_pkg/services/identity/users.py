"""What an administrator does to another user's logins: unbind the account, end sessions, revoke tokens."""

from danube_pkg.core.errors import NotFound
from danube_pkg.core.identity.people import Person
from danube_pkg.core.identity.ports import AccessStore
from danube_pkg.services.identity.sessions import Sessions
from danube_pkg.services.identity.tokens import Tokens


class Users:
    """Users are named by the name in the configuration, or by the address. Each method raises NotFound."""

    def __init__(self, store: AccessStore, sessions: Sessions, tokens: Tokens) -> None:
        self._store = store
        self._sessions = sessions
        self._tokens = tokens

    async def unbind(self, name: str) -> int:
        """Forget the account of the issuer that is bound to a user: the next login binds anew by the verified address.
        Returns how many sessions ended."""
        person = await self._find(name)
        if not await self._store.unbind_identity(person.id):
            raise NotFound(
                "identity-unbound",
                f"no account of an issuer is bound to {person.name}",
                hint="the next login at the issuer binds one; who is bound: danube users list",
            )
        return await self._sessions.end_all(person.id)

    async def end_sessions(self, name: str) -> int:
        """Log a user out of every browser; how many sessions ended."""
        return await self._sessions.end_all((await self._find(name)).id)

    async def revoke_tokens(self, name: str) -> int:
        """How many tokens were revoked."""
        return await self._tokens.revoke_all((await self._find(name)).id)

    async def _find(self, name: str) -> Person:
        people = await self._store.list_people()
        named = [one for one in people if name in (one.name, one.email) or name.lower() == one.email.lower()]
        if not named:
            raise NotFound("user-unknown", f"there is no user {name!r}", hint="list them with: danube users list")
        return min(named, key=lambda one: one.removed)  # a name may be that of a removed user as well
