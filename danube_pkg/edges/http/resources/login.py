"""Logging in and out. A browser gets a session cookie, the command line an API token."""

from typing import Annotated
from urllib.parse import parse_qsl

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import Forbidden
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.identity.oidc import LOGIN_SECONDS, Identity
from danube_pkg.core.identity.people import SESSION_SECONDS, TOKEN_DAYS, Person
from danube_pkg.edges.http.server.bodies import json_response
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import (
    check_same_site,
    client_address,
    cookies,
    is_loopback,
    session_cookie,
    set_cookie,
)
from danube_pkg.edges.http.views.login import DeviceView, Methods, Pending
from danube_pkg.edges.http.views.me import MadeToken, token_view
from danube_pkg.kit.records import HIDDEN, Record, field

ATTEMPT_COOKIE = "danube_login"
ATTEMPT_PATH = "/auth"


class LoginResource(Resource):
    """What the ways to log in share."""

    async def welcome(self, request: Request, person: Person, identity: Identity | None = None) -> tuple[str, str]:
        """Begin a session and return the header that sets its cookie. The browser's session before it ends. identity:
        the user's account at the issuer; None after a login with a password."""
        site, sessions = self.services.site, self.services.identity.logins.sessions
        secret, _ = await sessions.begin(
            person.id,
            method="password" if identity is None else "oidc",
            issuer="" if identity is None else identity.issuer,
            address=client_address(request, site),
            user_agent=request.headers.get("user-agent", ""),
            groups=() if identity is None else identity.groups,
            before=cookies(request).get(session_cookie(site)),
        )
        return set_cookie(site, session_cookie(site), secret, seconds=int(SESSION_SECONDS))

    async def check_password(self, request: Request, email: str, password: str) -> Person:
        """Raises Unauthenticated, TooManyTries, Forbidden (the password came in clear, or passwords are not used)."""
        site = self.services.site
        address = client_address(request, site)
        if not site.secure and not is_loopback(address):
            raise Forbidden(
                "password-in-clear",
                "passwords are not accepted over plain HTTP",
                cause="anyone on the network between you and this server could read it",
                hint="give the server a certificate: [tls] in danube.toml, or an external_url with https behind a proxy",
            )
        if await self.services.identity.logins.oidc.is_configured():
            raise Forbidden(
                "password-login-off",
                "this server uses an OpenID Connect issuer instead of passwords",
                hint="log in at the issuer: GET /auth/login",
            )
        return await self.services.identity.logins.passwords.log_in(email, password, address)

    def redirect_uri(self, request: Request) -> str:
        """The URL that the issuer redirects the browser back to."""
        return f"{self.base_url(request)}/auth/callback"

    def base_url(self, request: Request) -> str:
        site = self.services.site
        if site.external_url:
            return site.external_url.rstrip("/")
        return f"{'https' if site.tls else 'http'}://{request.headers.get('host', 'localhost')}"


class LoginMethods(Resource):
    """`/auth/methods`."""

    async def GET(self, request: Request) -> Methods:
        """The ways to log in at this server."""
        oidc = await self.services.identity.logins.oidc.is_configured()
        return Methods(password=not oidc, oidc=oidc)


class LoginQuery(Record):
    """What happens after the login."""

    return_to: Annotated[
        str, rule("The path on this server to open then.", pattern=r"/([^/\\\x00-\x20][^\\\x00-\x20]*)?")
    ] = "/"


class BeginLogin(LoginResource):
    """`/auth/login`."""

    @answers(302, content="text/plain", refuses=(404, 502, 503))
    async def GET(self, request: Request, query: LoginQuery) -> Response:
        """Redirect the browser to the issuer."""
        site = self.services.site
        url, kept = await self.services.identity.logins.oidc.begin(self.redirect_uri(request), query.return_to)
        cookie = set_cookie(site, ATTEMPT_COOKIE, kept, seconds=int(LOGIN_SECONDS), path=ATTEMPT_PATH)
        return Response(302, b"", (("location", url), cookie))


class LoginCallback(LoginResource):
    """`/auth/callback`."""

    @answers(302, content="text/plain", refuses=(401, 404, 409, 502, 503))
    async def GET(self, request: Request) -> Response:
        """The issuer redirects the browser here; it gets its session and is redirected to the page."""
        site = self.services.site
        person, identity, return_to = await self.services.identity.logins.oidc.finish(
            cookies(request).get(ATTEMPT_COOKIE),
            dict(parse_qsl(request.query_text, max_num_fields=20)),
            self.redirect_uri(request),
        )
        request.audited_as = person.email
        cookie = await self.welcome(request, person, identity)
        removed = set_cookie(site, ATTEMPT_COOKIE, "", seconds=0, path=ATTEMPT_PATH)
        return Response(302, b"", (("location", return_to), cookie, removed))


class PasswordBody(Record):
    """An address with its password."""

    email: Annotated[str, rule("The user's address.", pattern=r".{1,254}")]
    password: Annotated[str, rule("The user's password.", pattern=r"[\s\S]{1,1024}"), HIDDEN]


class PasswordLogin(LoginResource):
    """`/auth/password`."""

    @answers(204, refuses=(401, 403, 429, 503))
    async def POST(self, request: Request, body: PasswordBody) -> Response:
        """Log a browser in with a password. Over plain HTTP only from the server's own machine."""
        check_same_site(request)
        request.audited_as = body.email
        person = await self.check_password(request, body.email, body.password)
        return Response(204, b"", (await self.welcome(request, person),))


class Logout(Resource):
    """`/auth/logout`."""

    @answers(204)
    async def POST(self, request: Request) -> Response:
        """End the browser's session."""
        site = self.services.site
        secret = cookies(request).get(session_cookie(site))
        if secret:
            await self.services.identity.logins.sessions.end_by_secret(secret)
        return Response(204, b"", (set_cookie(site, session_cookie(site), "", seconds=0),))


class TokenWish(Record):
    """The token that the command line requests; see `POST /api/v1/tokens`."""

    name: Annotated[str, rule("A name to recognise it by.", pattern=r"[^\x00-\x1f]{1,100}")] = "danube login"
    scopes: Annotated[tuple[Scope, ...], rule("What it may be used for.")] = tuple(Scope)
    days: Annotated[int, rule("For how many days it works.", at_least=1, at_most=366)] = TOKEN_DAYS


class PasswordTokenBody(Record):
    """An address with its password, and the token that is requested."""

    email: Annotated[str, rule("The user's address.", pattern=r".{1,254}")]
    password: Annotated[str, rule("The user's password.", pattern=r"[\s\S]{1,1024}"), HIDDEN]
    token: Annotated[TokenWish, rule("The token to create.")] = field(default_factory=TokenWish)


class TokenResource(LoginResource):
    """What the ways to get a token share."""

    async def made(self, person: Person, wish: TokenWish, groups: tuple[str, ...] = ()) -> MadeToken:
        text, token = await self.services.identity.logins.tokens.create(
            person.id, wish.name, frozenset(wish.scopes), wish.days, groups
        )
        return MadeToken(text, token_view(token))


class PasswordToken(TokenResource):
    """`/auth/token`."""

    @answers(201, refuses=(401, 403, 409, 429, 503))
    async def POST(self, request: Request, body: PasswordTokenBody) -> MadeToken:
        """Create a token with a password. Over plain HTTP only from the server's own machine."""
        check_same_site(request)
        request.audited_as = body.email
        person = await self.check_password(request, body.email, body.password)
        return await self.made(person, body.token)


class DeviceLoginResource(Resource):
    """`/auth/device`."""

    @answers(201, refuses=(403, 404, 502, 503))
    async def POST(self, request: Request) -> DeviceView:
        """Begin a login by device code (RFC 8628), if the issuer supports it."""
        check_same_site(request)
        found = await self.services.identity.logins.oidc.begin_device()
        left = int(found.expires_at - self.services.clock.now())
        return DeviceView(
            handle=found.handle,
            user_code=found.user_code,
            verification_uri=found.verification_uri,
            verification_uri_complete=found.verification_uri_complete,
            interval_seconds=found.interval_seconds,
            expires_in_seconds=left,
        )


class DeviceTokenBody(Record):
    """A login by device code to be finished."""

    handle: Annotated[str, rule("The `handle` of `POST /auth/device`.", pattern=r"[A-Za-z0-9_-]{1,100}"), HIDDEN]
    token: Annotated[TokenWish, rule("The token to create.")] = field(default_factory=TokenWish)


class DeviceToken(TokenResource):
    """`/auth/device/token`."""

    @answers(201, 202, refuses=(401, 403, 404, 409, 502, 503))
    async def POST(self, request: Request, body: DeviceTokenBody) -> MadeToken | Response:
        """201 with a token once the user has confirmed the code; 202 until then."""
        check_same_site(request)
        found = await self.services.identity.logins.oidc.finish_device(body.handle)
        if found is None:
            return json_response(Pending(), 202)
        person, identity = found
        request.audited_as = person.email
        return await self.made(person, body.token, identity.groups)
