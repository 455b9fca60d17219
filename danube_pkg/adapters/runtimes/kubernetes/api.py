"""Requests to a cluster's API server: JSON in, JSON out, errors as Danube's own."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from danube_pkg.adapters.runtimes.kubernetes.access import ClusterAccess
from danube_pkg.adapters.runtimes.kubernetes.api_errors import VersionGone, refusal
from danube_pkg.core.errors import PlatformError, Throttled, Unavailable
from danube_pkg.kit.backoff import Backoff

Body = Mapping[str, Any]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

REQUEST_SECONDS = 30.0
TRIES = 4
"""A server that restarts or is rate-limiting answers within them; the callers wait longer, and say so."""

PAGE = 500
"""Objects of one response of a list: a few megabytes."""

MAX_EVENT_BYTES = 8 * 1024**2
"""A cluster stores objects of at most 1.5 MB; this is for the spaces and the escapes around them."""

WATCH_SECONDS = 300
WATCH_SILENCE_SECONDS = 150.0
"""A bookmark comes once a minute: two missed ones mean a dead connection."""

_UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)


class ClusterApi:
    """Requests with the credentials of one `ClusterAccess`."""

    def __init__(self, access: ClusterAccess) -> None:
        self.access = access

    async def get(self, path: str, **query: str) -> Body:
        return await self._request("GET", path, query=query)

    async def post(self, path: str, body: Body) -> Body:
        """A repeated try of one that succeeded raises Conflict, as for an object that exists."""
        return await self._request("POST", path, body=body)

    async def patch(self, path: str, body: Any, kind: str = MERGE_PATCH) -> Body:
        return await self._request("PATCH", path, body=body, kind=kind)

    async def delete(self, path: str, body: Body | None = None) -> None:
        await self._request("DELETE", path, body=body)

    async def list_all(self, path: str, selector: str) -> tuple[list[Body], str]:
        """All objects, and the version of the list, from which a watch continues."""
        while True:
            try:
                return await self._pages(path, selector)
            except VersionGone:  # the list took longer than the cluster keeps its versions
                continue

    async def _pages(self, path: str, selector: str) -> tuple[list[Body], str]:
        found: list[Body] = []
        query = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            page = await self.get(path, **query)
            found += page.get("items") or ()
            if not (following := page["metadata"].get("continue")):
                return found, page["metadata"]["resourceVersion"]
            query["continue"] = following

    @asynccontextmanager
    async def watch(self, path: str, selector: str, version: str) -> AsyncIterator[AsyncIterator[Body]]:
        """Events behind a version, bookmarks included, until the server or the connection ends them.

        Raises VersionGone where the cluster does not have that version any more, Unavailable.
        """
        query = {
            "watch": "1",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SILENCE_SECONDS)
        session, server = await self.access.open()
        headers = await self.access.headers()
        try:
            async with session.get(
                server + path, params=query, headers=headers, timeout=timeout, server_hostname=self.access.server_name
            ) as response:
                if response.status != 200:
                    raise await self._refused(response, f"watch {path}")
                yield _events(response.content)
        except _UNREACHABLE as error:
            raise _unreachable(error) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        kind: str = "application/json",
    ) -> Body:
        backoff, tries = Backoff(0.1, 2.0, random.random), 0
        while True:
            tries += 1
            try:
                return await self._request_once(method, path, query or {}, body, kind)
            except Unavailable as error:
                if tries >= TRIES or error.reference not in _TRIED_AGAIN:
                    raise
                if error.reference == "cluster-unauthorized":
                    await self.access.reload()
                pause = error.retry_seconds if isinstance(error, Throttled) else backoff.next()
            await asyncio.sleep(min(pause, 5.0))

    async def _request_once(self, method: str, path: str, query: Mapping[str, str], body: Any, kind: str) -> Body:
        session, server = await self.access.open()
        headers = {"Accept": "application/json", **await self.access.headers()}
        data = None
        if body is not None:
            headers["Content-Type"] = kind
            data = json.dumps(body).encode()
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                session.request(
                    method,
                    server + path,
                    params=query,
                    data=data,
                    headers=headers,
                    server_hostname=self.access.server_name,
                ) as response,
            ):
                if response.status >= 300:
                    raise await self._refused(response, f"{method} {path}")
                found: Body = json.loads(await response.read() or b"{}")
                return found
        except _UNREACHABLE as error:
            raise _unreachable(error) from error
        except ValueError as error:
            raise _invalid("the cluster sent no JSON", str(error)) from error

    async def _refused(self, response: aiohttp.ClientResponse, request: str) -> PlatformError:
        try:
            body = json.loads(await response.read())
        except ValueError:
            body = {}
        found = body if isinstance(body, dict) else {}
        return refusal(response.status, found, request, response.headers.get("Retry-After", ""))


_TRIED_AGAIN = frozenset({"cluster-unreachable", "cluster-failing", "cluster-busy", "cluster-unauthorized"})


def _invalid(what: str, cause: str = "") -> Unavailable:
    hint = "check that [runtime] kubeconfig names an API server, and no proxy or login page in front of it"
    return Unavailable("cluster-response-invalid", what, cause=cause, hint=hint)


def _unreachable(error: BaseException) -> Unavailable:
    return Unavailable(
        "cluster-unreachable",
        "the cluster's API server is not reachable",
        cause=str(error) or type(error).__name__,
        hint="kubectl cluster-info; [runtime] kubeconfig in danube.toml names the cluster",
    )


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[Body]:
    """One JSON object a line. Raises VersionGone for the event ERROR with code 410."""
    held = b""
    async for data in content.iter_any():
        *lines, held = (held + data).split(b"\n")
        if len(held) > MAX_EVENT_BYTES:
            raise _invalid(f"an event has more than {MAX_EVENT_BYTES} bytes")
        for line in filter(None, lines):
            try:
                event = json.loads(line)
            except ValueError as error:
                raise _invalid("an event is not JSON", str(error)) from error
            if event.get("type") == "ERROR":
                status = event.get("object") or {}
                raise refusal(int(status.get("code") or 500), status, "continue the watch")
            yield event
