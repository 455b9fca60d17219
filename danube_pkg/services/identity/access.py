"""From a person to what they may: teams and levels as the configuration has them at this moment.

Answers are kept only while nothing that is stored has changed, so that a change of membership counts from the next request.
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

KEPT_ANSWERS = 10_000
"""People and pipelines of a large organisation; beyond it everything is asked again."""


Listener = Callable[[str | None], None]


class Access:
    """A team's groups are those of the issuer whose people belong to it as well."""

    def __init__(self, store: AccessStore, applied: AppliedConfiguration) -> None:
        self.store = store
        applied.listen(self.changed)
        self._listeners: list[Listener] = []
        self._version = -1
        self._kept: dict[Any, Any] = {}

    def listen(self, listener: Listener) -> None:
        """It hears of each change, with the person's id or None for everybody."""
        self._listeners.append(listener)

    def changed(self, user_id: str | None = None) -> None:
        """What somebody may is not what it was: a configuration was applied, a session or a token has ended."""
        for listener in self._listeners:
            listener(user_id)

    def kept(self) -> dict[Any, Any]:
        """What was found out since something was stored last, by a key of the asker's; whoever asks again looks here."""
        version = self.store.version()
        if version != self._version or len(self._kept) > KEPT_ANSWERS:
            self._version = version
            self._kept = {}
        return self._kept

    async def actor(
        self, user_id: str, scopes: frozenset[Scope] | None = None, groups: tuple[str, ...] = ()
    ) -> Actor | None:
        """Who that is now; None for somebody that left the configuration."""
        kept, key = self.kept(), ("actor", user_id, scopes, groups)
        if key not in kept:
            person = await self.store.person_by_id(user_id)
            kept[key] = await self._actor(person, scopes, groups) if person and not person.removed else None
        found = kept[key]
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
        """A pipeline as a thing that somebody may do something with."""
        kept, key = self.kept(), ("thing", pipeline)
        if key not in kept:
            kept[key] = await self.store.target(pipeline)
        found = kept[key]
        assert isinstance(found, Target)
        return found

    async def readable(self, actor: Actor) -> frozenset[str] | None:
        """Names of the pipelines that somebody may see; None for all."""
        if actor.global_admin:
            return None
        kept, key = self.kept(), ("readable", frozenset(actor.teams))
        if key not in kept:
            kept[key] = await self.store.readable_pipelines(sorted(actor.teams))
        found = kept[key]
        assert isinstance(found, frozenset)
        return found

    async def somewhere(self, actor: Actor) -> frozenset[Action]:
        """What somebody may do with the server or with any pipeline at all: what is worth showing them."""
        kept, key = (
            self.kept(),
            ("somewhere", actor.global_admin, actor.kind, frozenset(actor.teams.items()), actor.scopes),
        )
        if key not in kept:
            levels = await self.store.levels_of(sorted(actor.teams))
            targets = [SERVER, *(Target("any", levels={team: level}) for team, level in levels)]
            kept[key] = frozenset(action for action in Action for target in targets if can(actor, action, target))
        found = kept[key]
        assert isinstance(found, frozenset)
        return found
