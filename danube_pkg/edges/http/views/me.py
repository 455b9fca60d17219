"""The caller: rights, browser sessions, API tokens."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.identity.people import BrowserSession, Token
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso, iso_or_none


class MeView(Record):
    """The caller, as the server has authenticated it."""

    name: Annotated[str, about("The user's address, or local-administrator.")]
    kind: Annotated[str, about("person or local-administrator.")]
    global_admin: Annotated[bool, about("Whether the caller is a global administrator.")]
    teams: Annotated[dict[str, str], about("The caller's role in each of its teams.")]
    scopes: Annotated[tuple[str, ...] | None, about("What the token is limited to; null for a session.")]
    may: Annotated[tuple[str, ...], about("The actions that the caller may take on the server itself.")]
    may_somewhere: Annotated[tuple[str, ...], about("The actions that it may take on the server or on any pipeline.")]
    csrf_token: Annotated[str, about("The value of the header X-CSRF-Token, which a browser's writes need.")]


class SessionView(Record):
    """A browser's login."""

    id: Annotated[str, about("Its id.")]
    current: Annotated[bool, about("True for the session of this request.")]
    method: Annotated[str, about("How it began: password or oidc.")]
    address: Annotated[str, about("The IP address that it began from.")]
    user_agent: Annotated[str, about("The browser, as it describes itself.")]
    created_at: Annotated[Time, about("When it began.")]
    seen_at: Annotated[Time, about("When it was last used.")]
    expires_at: Annotated[Time, about("When it ends by itself.")]


class SessionList(Record):
    """The caller's sessions."""

    sessions: Annotated[tuple[SessionView, ...], about("Those that have not ended, newest first.")]


class TokenView(Record):
    """An API token without its text."""

    id: Annotated[str, about("Its id, by which it is revoked.")]
    name: Annotated[str, about("The name that its owner gave it.")]
    scopes: Annotated[tuple[str, ...], about("What it may be used for.")]
    created_at: Annotated[Time, about("When it was created.")]
    expires_at: Annotated[Time, about("When it stops working.")]
    used_at: Annotated[Time | None, about("When it was last used, to the minute; null if it never was.")]
    used_from: Annotated[str, about("The IP address of its last use.")]


class TokenList(Record):
    """The caller's tokens."""

    tokens: Annotated[tuple[TokenView, ...], about("Those that were not revoked, newest first.")]


class MadeToken(Record):
    """A new token."""

    token: Annotated[str, about("The token's text, which is shown only here.")]
    record: Annotated[TokenView, about("The token as lists show it.")]


def session_view(session: BrowserSession, current: str) -> SessionView:
    """current: the id of the session of this request."""
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
    """The token without its text, which the server does not have."""
    return TokenView(
        id=token.id,
        name=token.name,
        scopes=tuple(sorted(token.scopes)),
        created_at=iso(token.created_at),
        expires_at=iso(token.expires_at),
        used_at=iso_or_none(token.used_at),
        used_from=token.used_from,
    )
