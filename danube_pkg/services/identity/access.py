"""From a user to their permissions: teams and levels as the applied configuration has them at this moment.

Results are cached only until something stored changes, so that a change of membership applies from the next request.
"""

from collections.abc import Callable
from typing import Any

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.identity.access import (
    SERVER,
    Action,
    Actor,
    ActorKind,
    Scope,
    Target,
    TeamRole,
    can,
)
from danube_pkg.core.identity.people import Person
from danube_pkg.core.identity.ports import AccessStore

MAX_CACHED = 10_000
"""Users and pipelines of a large organisation; beyond it the cache is emptied."""


Listener = Callable[[str | None], None]


class Access:
    """Resolves users, pipelines and permissions. Groups of the login issuer may make a user a member of a team."""

    def __init__(self, store: AccessStore, applied: AppliedConfiguration) -> None:
        self.store = store
        applied.listen(self.changed)
        self._listeners: list[Listener] = []
        self._version = -1
        self._cached: dict[Any, Any] = {}

    def listen(self, listener: Listener) -> None:
        """Call it after each change, with a user's id or None for all users."""
        self._listeners.append(listener)

    def changed(self, user_id: str | None = None) -> None:
        """A user's permissions may have changed: a configuration was applied, or a session or a token has ended."""
        for listener in self._listeners:
            listener(user_id)

    def cache(self) -> dict[Any, Any]:
        """Results that are valid until something stored changes, by keys that callers choose."""
        version = self.store.version()
        if version != self._version or len(self._cached) > MAX_CACHED:
            self._version = version
            self._cached = {}
        return self._cached

    async def actor(
        self, user_id: str, scopes: frozenset[Scope] | None = None, groups: tuple[str, ...] = ()
    ) -> Actor | None:
        """A user with their teams and permissions; None for one that the configuration no longer has."""
        cache, key = self.cache(), ("actor", user_id, scopes, groups)
        if key not in cache:
            person = await self.store.person_by_id(user_id)
            cache[key] = await self._actor(person, scopes, groups) if person and not person.removed else None
        found = cache[key]
        assert found is None or isinstance(found, Actor)
        return found

    async def _actor(self, person: Person, scopes: frozenset[Scope] | None, groups: tuple[str, ...]) -> Actor:
        memberships = dict(await self.store.memberships(person.id))
        if groups:
            teams = await self.store.teams()
            for team, wanted in (await self.store.groups_of_teams()).items():
                if team in teams and team not in memberships and not set(wanted).isdisjoint(groups):
                    memberships[team] = TeamRole.MEMBER, teams[team][0]
        return Actor(
            name=person.email,
            kind=ActorKind.PERSON,
            user_id=person.id,
            global_admin=any(admin for _, admin in memberships.values()),
            teams={team: role for team, (role, _) in memberships.items()},
            scopes=scopes,
        )

    async def target(self, pipeline: str) -> Target:
        """A pipeline with the permission levels of teams on it."""
        cache, key = self.cache(), ("thing", pipeline)
        if key not in cache:
            cache[key] = await self.store.target(pipeline)
        found = cache[key]
        assert isinstance(found, Target)
        return found

    async def readable(self, actor: Actor) -> frozenset[str] | None:
        """Names of the pipelines that the actor may see; None for all."""
        if actor.global_admin:
            return None
        cache, key = self.cache(), ("readable", frozenset(actor.teams))
        if key not in cache:
            cache[key] = await self.store.readable_pipelines(sorted(actor.teams))
        found = cache[key]
        assert isinstance(found, frozenset)
        return found

    async def allowed_anywhere(self, actor: Actor) -> frozenset[Action]:
        """Actions that are allowed on the server or on at least one pipeline: the ones worth offering to the actor."""
        cache = self.cache()
        key = ("anywhere", actor.global_admin, actor.kind, frozenset(actor.teams.items()), actor.scopes)
        if key not in cache:
            levels = await self.store.levels_of(sorted(actor.teams))
            targets = [SERVER, *(Target("any", levels={team: level}) for team, level in levels)]
            cache[key] = frozenset(action for action in Action for target in targets if can(actor, action, target))
        found = cache[key]
        assert isinstance(found, frozenset)
        return found
