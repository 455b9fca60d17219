"""Security headers of answers, and protection of a browser's requests against forgery by other sites.

A page of another origin can make a browser send the session cookie, but it can neither read the CSRF token nor set a
custom header without a CORS preflight. So a write by cookie needs that header, and must not be marked as cross-site.
"""

import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie

from danube_pkg.core.errors import Forbidden
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.services import Site

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"
HSTS_SECONDS = 31_536_000

API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""For Danube's own pages: nothing inline, nothing from another origin."""

_ALWAYS = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
)

_FOR_PAGES = (
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""Headers that browsers use only on documents."""


class Hardening:
    """Adds the headers that a response lacks. A response may have its own policy and its own caching."""

    def __init__(self, site: Site) -> None:
        hsts = (("strict-transport-security", f"max-age={HSTS_SECONDS}"),) if site.secure else ()
        self._always = (*_ALWAYS, *hsts)
        self._usual = (*self._always, ("content-security-policy", API_POLICY), ("cache-control", "no-store"))

    def add(self, response: Response) -> Response:
        given = {name for name, _ in response.headers}
        if given.isdisjoint(("content-security-policy", "cache-control")):
            return Response(response.status, response.body, response.headers + self._usual)
        page = _FOR_PAGES if dict(response.headers).get("content-type", "").startswith("text/html") else ()
        missing = tuple((name, value) for name, value in (*self._usual, *page) if name not in given)
        return Response(response.status, response.body, response.headers + missing)


def check_origin(request: Request, csrf_token: str) -> None:
    """Check a write by cookie. Raises Forbidden."""
    check_same_site(request)
    if not hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf_token.encode()):
        raise Forbidden(
            "csrf-token",
            "the request does not prove that Danube's own page made it",
            cause=f"the header {CSRF_HEADER} is missing or has another session's token",
            hint="reload the page; a script gets the token from GET /api/v1/me",
        )


def check_same_site(request: Request) -> None:
    """Check a login, which has no session yet: no other site may log a browser in. Raises Forbidden."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden(
            "other-origin", "a page of another site made this request", hint="open this server's own page instead"
        )
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin not in (None, f"http://{host}", f"https://{host}"):
        raise Forbidden(
            "other-origin",
            "a page of another site made this request",
            cause=f"origin {origin}",
            hint="open this server's own page instead",
        )


def session_cookie(site: Site) -> str:
    """The cookie's name; with the prefix a browser accepts it only over HTTPS and from this host (RFC 6265bis)."""
    return "__Host-danube_session" if site.secure else "danube_session"


def cookies(request: Request) -> dict[str, str]:
    """The request's cookies by name; empty if they cannot be parsed."""
    try:
        jar = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: one.value for name, one in jar.items()}


def set_cookie(site: Site, name: str, value: str, *, seconds: int, path: str = "/") -> tuple[str, str]:
    """The header that sets a cookie; `seconds=0` removes it."""
    secure = "; Secure" if site.secure else ""
    return "set-cookie", f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def is_loopback(address: str) -> bool:
    """Whether a client's address is on this machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "unix-socket"


def client_address(request: Request, site: Site) -> str:
    """The client's IP address: that of the connection, or the one that trusted proxies report in X-Forwarded-For.

    Each proxy appends the address that it was reached from, so the last entry that is not itself of a trusted proxy is
    the client's; what stands before it comes from the client and proves nothing.
    """
    found = request.address
    if request.local:
        return found
    entries = request.headers.get("x-forwarded-for", "").split(",")
    is_proxy = bool(site.external_url) if is_loopback(found) else _is_trusted(found, site)
    while is_proxy and entries:
        try:
            found = str(ipaddress.ip_address(entries.pop().strip()))
        except ValueError:
            return found
        is_proxy = _is_trusted(found, site)
    return found


def _is_trusted(address: str, site: Site) -> bool:
    """Whether it is the address of a configured reverse proxy."""
    return any(ipaddress.ip_address(address) in network for network in site.trusted_proxies)
