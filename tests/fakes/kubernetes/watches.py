"""Watches: the changes of a resource as one JSON document a line, from a resource version on."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from tests.fakes.kubernetes.api_errors import ApiError, Json, invalid
from tests.fakes.kubernetes.resources import ApiTarget
from tests.fakes.kubernetes.selectors import matches
from tests.fakes.kubernetes.store import ObjectStore, StoredChange

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Watches:
    """Serves watches. bookmark_seconds: between two bookmarks, about a minute on a real server."""

    def __init__(self, store: ObjectStore, bookmark_seconds: float = 60.0) -> None:
        self._store = store
        self.bookmark_seconds = bookmark_seconds
        self._open: set[asyncio.Event] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def drop_all(self) -> None:
        """Cut the connection of every open watch."""
        for dropped in self._open:
            dropped.set()

    async def serve(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        query = request.query
        _check_initial_events(query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        dropped = asyncio.Event()
        self._open.add(dropped)
        try:
            async with asyncio.timeout(float(query.get("timeoutSeconds", 3600))):
                async for event in self._events(target, query, dropped):
                    await response.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        except (TimeoutError, ConnectionError):
            return response
        finally:
            self._open.discard(dropped)
        if dropped.is_set() and request.transport is not None:
            request.transport.abort()
        return response

    async def _events(self, target: ApiTarget, query: Mapping[str, str], dropped: asyncio.Event) -> AsyncIterator[Json]:
        """dropped: ends the watch when it is set."""
        text = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents") == "true"
        with self._store.changes() as changed:
            at = int(text) if text not in ("", "0") and not initial else self._store.version
            if initial or text in ("", "0"):
                for found in self._store.list_objects(target.resource, target.namespace):
                    if _selects(target, query, found):
                        yield {"type": "ADDED", "object": found}
            if initial:
                yield self._bookmark(target, at, {INITIAL_EVENTS_END: "true"})
            while not dropped.is_set():
                changed.clear()
                try:
                    changes = self._store.since(at)
                except ApiError as error:
                    yield {"type": "ERROR", "object": error.status}
                    return
                for change in changes:
                    at = change.version
                    if event := _event_of(change, target, query):
                        yield event
                if not await self._wait(changed, dropped) and query.get("allowWatchBookmarks") == "true":
                    yield self._bookmark(target, at, {})

    async def _wait(self, changed: asyncio.Event, dropped: asyncio.Event) -> bool:
        """Whether something changed or the watch is dropped, before a bookmark is due."""
        waits = [asyncio.ensure_future(one.wait()) for one in (changed, dropped)]
        try:
            done, _ = await asyncio.wait(waits, timeout=self.bookmark_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return bool(done)

    def _bookmark(self, target: ApiTarget, version: int, annotations: Mapping[str, str]) -> Json:
        metadata: Json = {"resourceVersion": str(max(version, self._store.version)), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = dict(annotations)
        found = {"kind": target.resource.kind, "apiVersion": target.resource.api_version, "metadata": metadata}
        return {"type": "BOOKMARK", "object": found}


def _check_initial_events(query: Mapping[str, str]) -> None:
    if "sendInitialEvents" not in query or query.get("resourceVersionMatch") == "NotOlderThan":
        return
    sentence = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    field = "resourceVersionMatch"
    raise invalid("ListOptions.meta.k8s.io", "", [(field, "FieldValueForbidden", f"Forbidden: {sentence}")])


def _selects(target: ApiTarget, query: Mapping[str, str], found: Json) -> bool:
    if target.name and found["metadata"]["name"] != target.name:
        return False
    return matches(found, query.get("labelSelector", ""), query.get("fieldSelector", ""))


def _event_of(change: StoredChange, target: ApiTarget, query: Mapping[str, str]) -> Json | None:
    """The event for one watch, None where it does not select the object. What no longer matches is DELETED for it."""
    if change.resource is not target.resource:
        return None
    one = change.after or change.before
    assert one is not None
    if target.namespace not in ("", one["metadata"].get("namespace")):
        return None
    before = change.before is not None and _selects(target, query, change.before)
    after = change.after is not None and _selects(target, query, change.after)
    if not before and not after:
        return None
    kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
    found = change.after if change.after is not None else change.before
    assert found is not None
    metadata = {**found["metadata"], "resourceVersion": str(change.version)}
    return {"type": kind, "object": {**found, "metadata": metadata}}
