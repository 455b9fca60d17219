"""HTTP error responses of other servers as Danube's errors: permanent or retryable, and when to retry. Pure.

RFC 9110 (Retry-After), RFC 6585 (429); GitHub says with 403 and `x-ratelimit-*` what others say with 429.
"""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from danube_pkg.core.errors import Permanent, PlatformError, Throttled, Unauthenticated, Unavailable

PAUSE_SECONDS = 60.0
"""The pause after a rate-limiting response that does not say how long to wait."""

MAX_PAUSE_SECONDS = 3600.0
"""The longest pause, whatever the server asks for. GitHub's rate limits last an hour."""

MAX_QUOTE = 300


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, now: float, *, name: str, kind: str
) -> PlatformError | None:
    """The error for a response, None for success. Header names are in lower case. now: Unix seconds.

    name: of the server, for messages. kind: the beginning of the error's reference. The response is quoted, the request
    is not, since it may contain a secret.
    """
    if 200 <= status < 300:
        return None
    cause = f"it answered {status}: {_said(body)}"
    asks_for_pause = status == 429 or (status == 403 and _is_limited(headers))
    if asks_for_pause or (status == 503 and "retry-after" in headers):
        failing = "is rate-limiting this server" if asks_for_pause else "is temporarily unavailable"
        return Throttled(
            f"{kind}-throttled",
            f"{name} {failing} (HTTP {status})",
            retry_seconds=pause_seconds(headers, now),
            cause=cause,
            hint="wait; it is retried automatically",
        )
    if status in (408, 425) or status >= 500:
        return Unavailable(f"{kind}-unreachable", f"{name} failed (HTTP {status})", cause=cause, hint="try again")
    if status in (401, 403):
        return Unauthenticated(
            f"{kind}-refused",
            f"{name} refused the credential",
            cause=cause,
            hint="check the secret and its permissions, and set it again: danube secrets set NAME",
        )
    hint = "check the credential and its permissions" if status in (404, 422) else "check the URL"
    return Permanent(f"{kind}-refused", f"{name} refused the request", cause=cause, hint=hint)


def pause_seconds(headers: Mapping[str, str], now: float) -> float:
    """How long the server wants no requests, in seconds. now: Unix seconds."""
    after = headers.get("retry-after", "")
    if after.isascii() and after.isdigit() and len(after) < 10:
        return min(float(after), MAX_PAUSE_SECONDS)
    if after:
        try:
            return min(max(0.0, parsedate_to_datetime(after).timestamp() - now), MAX_PAUSE_SECONDS)
        except ValueError:
            return PAUSE_SECONDS
    reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
    if reset.isascii() and reset.isdigit() and len(reset) < 12:
        return min(max(1.0, float(reset) - now), MAX_PAUSE_SECONDS)
    return PAUSE_SECONDS


def _is_limited(headers: Mapping[str, str]) -> bool:
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def _said(body: bytes) -> str:
    """The server's message, extracted from a JSON body where it is one."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = {}
    message = (found.get("message") or found.get("error")) if isinstance(found, dict) else ""
    return " ".join(str(message or text).split())[:MAX_QUOTE]
