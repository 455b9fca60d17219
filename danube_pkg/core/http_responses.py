"""Maps HTTP responses of other servers to Danube's errors: permanent or temporary, and when to try again. Pure.

RFC 9110 (Retry-After), RFC 6585 (429); GitHub sends 403 with `x-ratelimit-*` headers in place of 429.
"""

import json
from collections.abc import Mapping

from danube_pkg.core.errors import Permanent, PlatformError, Throttled, Unauthenticated, Unavailable
from danube_pkg.kit.retry_after import retry_after_seconds

PAUSE_SECONDS = 60.0
"""The pause for a rate limit without a duration."""

MAX_PAUSE_SECONDS = 3600.0
"""The longest pause, whatever the server requests: GitHub's rate limit windows have an hour."""

MAX_QUOTE = 300


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, now: float, *, name: str, kind: str
) -> PlatformError | None:
    """The error for a response; None for success. Header names are in lower case.

    name: the server in messages. kind: the prefix of error references. The response is quoted, the request is not.
    """
    if 200 <= status < 300:
        return None
    cause = f"it answered {status}: {_message(body)}"
    is_rate_limited = status == 429 or (status == 403 and _is_limited(headers))
    if is_rate_limited or (status == 503 and "retry-after" in headers):
        return Throttled(
            f"{kind}-throttled",
            f"{name} is {'rate-limiting this server' if is_rate_limited else 'unavailable'} (HTTP {status})",
            retry_seconds=pause_seconds(headers, now),
            cause=cause,
            hint="it is retried automatically",
        )
    if status in (408, 425) or status >= 500:
        return Unavailable(
            f"{kind}-unreachable", f"{name} is unavailable (HTTP {status})", cause=cause, hint="it is retried"
        )
    if status in (401, 403):
        return Unauthenticated(
            f"{kind}-refused",
            f"{name} rejected the credential (HTTP {status})",
            cause=cause,
            hint="check the secret and its permissions, and set it again: danube secrets set NAME",
        )
    if status == 404 and kind == "forge":
        # Forges answer so where a token may not see a repository: access that is given makes the same request succeed.
        return Unauthenticated(
            "forge-refused",
            f"{name} does not exist, or the credential may not see it (HTTP 404)",
            cause=cause,
            hint="give the credential's account access to the repository, or correct the repository in the configuration",
        )
    hint = "check the credential and its permissions" if status == 422 else "check the URL"
    return Permanent(f"{kind}-refused", f"{name} rejected the request (HTTP {status})", cause=cause, hint=hint)


def pause_seconds(headers: Mapping[str, str], now: float) -> float:
    """The pause that a rate-limited response requests, from Retry-After or else from its rate limit headers."""
    if after := headers.get("retry-after", ""):
        found = retry_after_seconds(after, now, max_seconds=MAX_PAUSE_SECONDS)
        return PAUSE_SECONDS if found is None else found
    reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
    if reset.isascii() and reset.isdigit() and len(reset) < 12:
        return min(max(1.0, float(reset) - now), MAX_PAUSE_SECONDS)
    return PAUSE_SECONDS


def _is_limited(headers: Mapping[str, str]) -> bool:
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def _message(body: bytes) -> str:
    """The server's message: the JSON field `message` or `error`, else the text."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = {}
    message = (found.get("message") or found.get("error")) if isinstance(found, dict) else ""
    return " ".join(str(message or text).split())[:MAX_QUOTE]
