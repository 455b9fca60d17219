"""Who asks: themselves, their browser's sessions, their API tokens."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Action, Scope, can
from danube_pkg.core.identity.people import TOKEN_DAYS, BrowserSession, Token
from danube_pkg.edges.http.server.bodies import Time, iso, iso_or_none
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.kit.records import Record


class MeView(Record):
    """`kind`: person or local-administrator. `may`: what somebody may do with the server itself; `may_somewhere`: with that or
    with any pipeline at all. `csrf_token` goes into the header X-CSRF-Token of every write that a browser makes."""

    name: str
    kind: str
    global_admin: bool
    teams: dict[str, str]
    scopes: tuple[str, ...] | None
    may: tuple[str, ...]
    may_somewhere: tuple[str, ...]
    csrf_token: str


class Me(Resource):
    """`/api/v1/me`."""

    async def GET(self, request: Request) -> MeView:
        """Who the server takes the caller for."""
        actor = request.actor
        return MeView(
            name=actor.name,
            kind=actor.kind,
            global_admin=actor.global_admin,
            teams=dict(actor.teams),
            scopes=None if actor.scopes is None else tuple(sorted(actor.scopes)),
            may=tuple(action for action in Action if can(actor, action)),
            may_somewhere=tuple(sorted(await self.services.access.allowed_anywhere(actor))),
            csrf_token=request.csrf_token,
        )


class SessionView(Record):
    """`current`: the one that asks."""

    id: str
    current: bool
    method: str
    address: str
    user_agent: str
    created_at: Time
    seen_at: Time
    expires_at: Time


class SessionList(Record):
    """Those that are alive."""

    sessions: tuple[SessionView, ...]


class SessionsResource(Resource):
    """`/api/v1/sessions`."""

    async def GET(self, request: Request) -> SessionList:
        """The caller's own sessions, newest first."""
        sessions = await self.services.logins.sessions.list(request.actor.user_id)
        return SessionList(tuple(_session_view(one, request.session_id) for one in sessions))


class OneSession(Resource):
    """`/api/v1/sessions/{session}`."""

    @answers(204)
    async def DELETE(self, request: Request) -> None:
        """End one of the caller's own sessions."""
        await self.services.logins.sessions.end(request.actor.user_id, request.arguments["session"])


class TokenView(Record):
    """`used_at` is exact to a minute. A token's text is in no list."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: Time
    expires_at: Time
    used_at: Time | None
    used_from: str


class TokenList(Record):
    """Those that were not revoked."""

    tokens: tuple[TokenView, ...]


class NewToken(Record):
    """What a token is for. `days`: how long it lives."""

    name: Annotated[str, rule(pattern=r"[^\x00-\x1f]{1,100}", example="laptop")]
    scopes: tuple[Scope, ...] = (Scope.READ,)
    days: Annotated[int, rule(at_least=1, at_most=366)] = TOKEN_DAYS


class MadeToken(Record):
    """The only time that a token's text is shown."""

    token: str
    record: TokenView


class TokensResource(Resource):
    """`/api/v1/tokens`."""

    async def GET(self, request: Request) -> TokenList:
        """The caller's own tokens, newest first."""
        return TokenList(tuple(map(token_view, await self.services.logins.tokens.list(request.actor.user_id))))

    @answers(201, refuses=(409,))
    async def POST(self, request: Request, body: NewToken) -> MadeToken:
        """Make a token. With a token only such that may no more than itself."""
        scopes = frozenset(body.scopes)
        text, token = await self.services.logins.tokens.create_as(request.actor, body.name, scopes, body.days)
        return MadeToken(text, token_view(token))


class OneToken(Resource):
    """`/api/v1/tokens/{token}`."""

    @answers(204)
    async def DELETE(self, request: Request) -> None:
        """Revoke one of the caller's own tokens."""
        await self.services.logins.tokens.revoke(request.actor.user_id, request.arguments["token"])


def _session_view(session: BrowserSession, current: str) -> SessionView:
    return SessionView(
        id=session.id,
        current=session.id == current,
        method=session.method,
        address=session.address,
        user_agent=session.user_agent,
        created_at=iso(session.created_at),
        seen_at=iso(session.seen_at),
        expires_at=iso(session.expires_at),
    )


def token_view(token: Token) -> TokenView:
    """Without the text, which nobody has."""
    return TokenView(
        id=token.id,
        name=token.name,
        scopes=tuple(sorted(token.scopes)),
        created_at=iso(token.created_at),
        expires_at=iso(token.expires_at),
        used_at=iso_or_none(token.used_at),
        used_from=token.used_from,
    )
