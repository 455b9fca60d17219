"""Teams and people, as the configuration has them."""

from collections.abc import Mapping

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.kit.records import Record


class TeamView(Record):
    """`members`: address → role."""

    name: str
    global_admin: bool
    members: Mapping[str, str]


class TeamList(Record):
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


class UserView(Record):
    """`removed`: left the configuration, and can do nothing any more."""

    name: str
    email: str
    removed: bool


class UserList(Record):
    """By address."""

    users: tuple[UserView, ...]


class Users(Resource):
    """`/api/v1/users`."""

    async def GET(self, request: Request) -> UserList:
        """Everybody, also who has left."""
        people = await self.services.access.store.list_people()
        return UserList(tuple(UserView(one.name, one.email, one.removed) for one in people))
