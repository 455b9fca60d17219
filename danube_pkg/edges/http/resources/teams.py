"""Teams and people, as the configuration has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource


@dataclass(frozen=True, slots=True)
class TeamView:
    """`members`: address → role."""

    name: str
    global_admin: bool
    members: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TeamList:
    """By name."""

    teams: tuple[TeamView, ...]


class Teams(Resource):
    """`/api/v1/teams`."""

    async def GET(self, request: Request) -> TeamList:
        """The caller's own teams; a global administrator sees all."""
        actor = request.actor
        teams = await self.services.access.store.teams()
        return TeamList(
            tuple(
                TeamView(name, global_admin, {email: str(role) for email, role in members.items()})
                for name, (global_admin, members) in teams.items()
                if actor.global_admin or name in actor.teams
            )
        )


@dataclass(frozen=True, slots=True)
class UserView:
    """`removed`: left the configuration, and can do nothing any more."""

    name: str
    email: str
    removed: bool


@dataclass(frozen=True, slots=True)
class UserList:
    """By address."""

    users: tuple[UserView, ...]


class Users(Resource):
    """`/api/v1/users`."""

    async def GET(self, request: Request) -> UserList:
        """Everybody, also who has left."""
        people = await self.services.access.store.list_people()
        return UserList(tuple(UserView(one.name, one.email, one.removed) for one in people))
