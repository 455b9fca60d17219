"""The caller: its rights, its browser sessions, its API tokens."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Action, Scope, can
from danube_pkg.core.identity.people import TOKEN_DAYS
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.me import (
    MadeToken,
    MeView,
    SessionList,
    TokenList,
    session_view,
    token_view,
)
from danube_pkg.kit.records import Record


class Me(Resource):
    """`/api/v1/me`."""

    async def GET(self, request: Request) -> MeView:
        """The caller, as the server has authenticated it."""
        actor = request.actor
        return MeView(
            name=actor.name,
            kind=actor.kind,
            global_admin=actor.global_admin,
            teams=dict(actor.teams),
            scopes=None if actor.scopes is None else tuple(sorted(actor.scopes)),
            may=tuple(action for action in Action if can(actor, action)),
            may_somewhere=tuple(sorted(await self.services.identity.access.allowed_anywhere(actor))),
            csrf_token=request.csrf_token,
        )


class SessionsResource(Resource):
    """`/api/v1/sessions`."""

    async def GET(self, request: Request) -> SessionList:
        """The caller's own sessions, newest first."""
        sessions = await self.services.identity.logins.sessions.list(request.actor.user_id)
        return SessionList(tuple(session_view(one, request.session_id) for one in sessions))


class OneSession(Resource):
    """`/api/v1/sessions/{session}`."""

    @answers(204)
    async def DELETE(self, request: Request) -> None:
        """End one of the caller's own sessions."""
        await self.services.identity.logins.sessions.end(request.actor.user_id, request.arguments["session"])


class NewToken(Record):
    """A token to be created."""

    name: Annotated[str, rule("A name to recognise it by.", pattern=r"[^\x00-\x1f]{1,100}", example="laptop")]
    scopes: Annotated[tuple[Scope, ...], rule("What it may be used for.")] = (Scope.READ,)
    days: Annotated[int, rule("For how many days it works.", at_least=1, at_most=366)] = TOKEN_DAYS


class TokensResource(Resource):
    """`/api/v1/tokens`."""

    async def GET(self, request: Request) -> TokenList:
        """The caller's own tokens, newest first."""
        return TokenList(tuple(map(token_view, await self.services.identity.logins.tokens.list(request.actor.user_id))))

    @answers(201, refuses=(409,))
    async def POST(self, request: Request, body: NewToken) -> MadeToken:
        """Create a token. A caller with a token can create only tokens with no more scopes than its own."""
        scopes = frozenset(body.scopes)
        text, token = await self.services.identity.logins.tokens.create_as(request.actor, body.name, scopes, body.days)
        return MadeToken(text, token_view(token))


class OneToken(Resource):
    """`/api/v1/tokens/{token}`."""

    @answers(204)
    async def DELETE(self, request: Request) -> None:
        """Revoke one of the caller's own tokens."""
        await self.services.identity.logins.tokens.revoke(request.actor.user_id, request.arguments["token"])
