"""An HTML page for errors of a login: the user's browser was redirected here, where JSON would be of no help."""

from html import escape

from danube_pkg.core.errors import PlatformError
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.security import PAGE_POLICY


def wants_page(request: Request) -> bool:
    """Whether the client is a browser on its way through a login."""
    return (
        request.path.startswith("/auth/")
        and request.method == "GET"
        and "text/html" in request.headers.get("accept", "")
    )


def problem_page(error: PlatformError, request_id: str) -> Response:
    """What failed, the hint, and the request id by which an administrator finds the cause in the log."""
    text = f"""<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>
<title>Danube: {escape(error.what)}</title><link rel=stylesheet href=/docs/style.css>
<h1>{escape(error.what[:1].upper() + error.what[1:])}.</h1>
<p>{escape(error.hint[:1].upper() + error.hint[1:])}</p>
<p><a href=/auth/login>Log in again</a></p>
<p><small>{escape(error.reference)}, request {escape(request_id)}</small></p>
"""
    headers = (("content-type", "text/html; charset=utf-8"), ("content-security-policy", PAGE_POLICY))
    return Response(error.status, text.encode(), headers)
