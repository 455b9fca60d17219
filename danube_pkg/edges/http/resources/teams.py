"""Teams of the configuration."""

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.teams import TeamList, TeamView


class Teams(Resource):
    """`/api/v1/teams`."""

    async def GET(self, request: Request) -> TeamList:
        """The caller's own teams; a global administrator sees all."""
        actor = request.actor
        teams = await self.services.identity.access.store.teams()
        return TeamList(
            tuple(
                TeamView(name, global_admin, {email: str(role) for email, role in members.items()})
                for name, (global_admin, members) in teams.items()
                if actor.global_admin or name in actor.teams
            )
        )
