"""An API server whose responses a test writes: for what a whole fake of a cluster cannot show one by one."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from danube_pkg.adapters.runtimes.kubernetes import ClusterAccess
from danube_pkg.core.runtimes.choice import ClusterLocation

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PODS = "/api/v1/namespaces/danube-jobs/pods"


def kubeconfig(path: Path, server: str, user: Mapping[str, Any]) -> Path:
    """A kubeconfig with one cluster and one user."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "clusters": [{"name": "one", "cluster": {"server": server}}],
        "users": [{"name": "one", "user": dict(user)}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


class ScriptedServer:
    """`handlers`: by method and path; the rest is 404 as an object `Status`. `seen`: requests so far."""

    def __init__(self) -> None:
        self.handlers: dict[tuple[str, str], Handler] = {}
        self.seen: list[web.Request] = []
        self.address = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        handler = self.handlers.get((request.method, request.path))
        return await handler(request) if handler is not None else refused(404, "it does not exist")

    def count(self, method: str, path: str, watch: bool = False) -> int:
        """How often a path was requested."""
        return sum((one.method, one.path, "watch" in one.query) == (method, path, watch) for one in self.seen)


def refused(code: int, message: str, **headers: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": code}
    return web.json_response(body, status=code, headers=headers)


def listed(version: str, *items: Mapping[str, Any]) -> web.Response:
    return web.json_response({"items": list(items), "metadata": {"resourceVersion": version}})


async def watched(request: web.Request, *events: Mapping[str, Any], ends: bool = True) -> web.StreamResponse:
    """A watch that sends these events."""
    response = web.StreamResponse()
    await response.prepare(request)
    for event in events:
        await response.write(json.dumps(event).encode() + b"\n")
    if not ends:
        await asyncio.Event().wait()
    return response


@asynccontextmanager
async def scripted_server(
    path: Path, user: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[ScriptedServer, ClusterAccess]]:
    """A server on loopback, and the access to it by a kubeconfig."""
    server = ScriptedServer()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.address = f"http://{host}:{port}"
    file = kubeconfig(path / "kubeconfig", server.address, user or {"token": "of-the-test"})
    access = ClusterAccess(ClusterLocation(file))
    try:
        yield server, access
    finally:
        await access.close()
        await runner.cleanup()
