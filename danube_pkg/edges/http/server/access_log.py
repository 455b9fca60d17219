"""The line of the server's log for each answered request."""

import logging
import time

from danube_pkg.edges.http.server.messages import Request

_log = logging.getLogger("danube.http")


def log_access(request: Request, status: int, started: float, request_id: str) -> None:
    """started: when the request began, by the monotonic clock, in seconds."""
    if _log.isEnabledFor(logging.INFO):
        took_ms = round((time.monotonic() - started) * 1000, 1)
        fields = {
            "method": request.method,
            "path": request.path,
            "status": status,
            "ms": took_ms,
            "request_id": request_id,
            "actor": request.actor.name,
            "address": request.address,
        }
        _log.info("request", extra={"fields": fields})
