"""Users of the configuration, and what an administrator does to their logins."""

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.users import EndedLogins, UserList, user_view


class UsersResource(Resource):
    """`/api/v1/users`."""

    async def GET(self, request: Request) -> UserList:
        """All users, also those that the configuration no longer has."""
        return UserList(tuple(map(user_view, await self.services.identity.access.store.list_people())))


class UserIdentity(Resource):
    """`/api/v1/users/{user}/identity`."""

    @answers(200, refuses=(404,))
    async def DELETE(self, request: Request) -> EndedLogins:
        """Unbind the issuer's account of a user, whose sessions end; the next login binds anew by verified address."""
        return EndedLogins(await self.services.identity.logins.users.unbind(request.arguments["user"]))


class UserSessions(Resource):
    """`/api/v1/users/{user}/sessions`."""

    @answers(200, refuses=(404,))
    async def DELETE(self, request: Request) -> EndedLogins:
        """End all sessions of a user."""
        return EndedLogins(await self.services.identity.logins.users.end_sessions(request.arguments["user"]))


class UserTokens(Resource):
    """`/api/v1/users/{user}/tokens`."""

    @answers(200, refuses=(404,))
    async def DELETE(self, request: Request) -> EndedLogins:
        """Revoke all API tokens of a user."""
        return EndedLogins(await self.services.identity.logins.users.revoke_tokens(request.arguments["user"]))
