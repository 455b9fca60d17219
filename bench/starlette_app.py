"""What `GET /api/v1/jobs` is compared with: the same JSON, kept in memory, rendered by starlette for each request."""

import json
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CONTENT = json.loads(Path(os.environ["BENCH_JSON"]).read_bytes())
BODY = json.dumps(CONTENT, separators=(",", ":")).encode()


async def jobs(request: Request) -> JSONResponse:
    """Render the list as an application does."""
    return JSONResponse(CONTENT)


async def ready(request: Request) -> Response:
    """Send prepared bytes: the most that this server can."""
    return Response(BODY, media_type="application/json")


app = Starlette(routes=[Route("/api/v1/jobs", jobs), Route("/ready", ready)])
