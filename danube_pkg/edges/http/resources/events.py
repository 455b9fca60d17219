"""Live events (server-sent, WHATWG HTML section 9.2): of one job with its log, and of the lists that pages show.

Every connection begins with a snapshot. A `log` event's id is the byte offset behind its bytes, so that a client that
comes back with `Last-Event-ID` continues exactly. Text is UTF-8: a character that is cut by a part is held until it is
whole, and bytes that are none become U+FFFD; offsets stay those of the file.
"""

import asyncio
import codecs
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import PlatformError, Unavailable
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Job
from danube_pkg.edges.http.resources.job_stream import (
    PART_BYTES,
    SLOW_BYTES,
    Broadcast,
    Broadcasts,
    Viewer,
    event,
    log_event,
)
from danube_pkg.edges.http.resources.jobs import JobPage, job_summary
from danube_pkg.edges.http.server.authorisation import Authoriser
from danube_pkg.edges.http.server.messages import Frame, Request, Response, Sink, Stream
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged

HEARTBEAT_SECONDS = 15.0
"""Below the shortest idle timeout that proxies have by default. With each one it is asked whether the caller still may, since
sessions and tokens run out without anybody's doing."""

SNAPSHOT_JOBS = 50

MAX_FOLLOWERS = 5000
"""Of the lists; each costs a write for each change of a job that it may see."""

HEADERS = (("content-type", "text/event-stream"), ("x-accel-buffering", "no"))

_HEARTBEAT = Frame(b": heartbeat\n\n")

_log = logging.getLogger("danube.http")

Look = Callable[[], Awaitable[None]]


class LiveResource(Resource):
    """What streams share: each is authorised again at each heartbeat and whenever rights have changed.

    After a change of rights the open streams are checked one after the other, so that thousands of them do not delay other
    requests.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._authoriser = Authoriser(services)
        self._tasks = TaskOwner(logged(_log))
        self._open: dict[Look, Request] = {}
        self._unsure: set[str | None] = set()
        self._looking: asyncio.Task[None] | None = None
        services.access.listen(self._access_changed)

    async def close(self) -> None:
        await self._tasks.close()

    @contextmanager
    def looked_at(self, request: Request, look: Look) -> Iterator[None]:
        """While the stream of this request is open. `look`: ends or narrows it by what its caller may now."""
        self._open[look] = request
        try:
            yield
        finally:
            del self._open[look]

    def _access_changed(self, user_id: str | None) -> None:
        if not self._open:
            return
        self._unsure.add(user_id)
        if self._looking is None or self._looking.done():
            self._looking = self._tasks.start("open streams", self._look_again())

    async def _look_again(self) -> None:
        while self._unsure:
            users, self._unsure = self._unsure, set()
            for look, request in list(self._open.items()):
                if look in self._open and (None in users or request.actor.user_id in users):
                    await look()
                    await asyncio.sleep(0)


class FollowQuery(Record):
    """`from`: the offset in the log to begin at; a `Last-Event-ID` goes first."""

    begin: Annotated[int, rule(key="from", at_least=0)] = 0


class JobEvents(LiveResource):
    """`/api/v1/jobs/{job}/events`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._broadcasts = Broadcasts(services, self._tasks.start)

    @answers(200, content="text/event-stream")
    async def GET(self, request: Request, query: FollowQuery) -> Response:
        """`snapshot` (job and steps), then `log`, `step` and `job` as they come, `end` when the log is whole."""
        last = request.headers.get("last-event-id", "")
        begin = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else query.begin
        return Response(200, _JobStream(self, request, begin), HEADERS)

    async def follow(self, request: Request, sender: Sink, begin: int) -> None:
        """Until the job has ended, or the caller may not see it any more."""
        broadcast = self._broadcasts.join(request.job)
        viewer = Viewer(sender, min(begin, broadcast.position))

        async def look() -> None:
            try:
                await self._authoriser.authorise(request)
            except PlatformError:
                viewer.refused = True
                broadcast.detach(viewer)

        try:
            with self.looked_at(request, look):
                await look()  # something may have changed since the request was let in
                await self._follow(broadcast, viewer, look)
        finally:
            broadcast.detach(viewer)
            self._broadcasts.leave(broadcast)

    async def _follow(self, broadcast: Broadcast, viewer: Viewer, look: Look) -> None:
        sender = viewer.sender
        while not viewer.refused:
            sender.write(Frame(broadcast.snapshot()))
            await self._catch_up(broadcast, viewer)
            if viewer.refused:
                return
            if broadcast.ended:
                sender.write(Frame(broadcast.last_words()))
                return
            broadcast.attach(viewer)
            await self._wait(viewer, look)
            if broadcast.ended:
                return
            await sender.drain()

    async def _catch_up(self, broadcast: Broadcast, viewer: Viewer) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        at = viewer.at
        while at < broadcast.position and not viewer.refused:
            data = await self.services.logs.read(broadcast.job.id, at, min(broadcast.position, at + PART_BYTES))
            if not data:
                break
            at += len(data)
            text = decoder.decode(data, final=at == broadcast.position)
            held, _ = decoder.getstate()
            viewer.sender.write(Frame(log_event(text, at - len(held))))
            await viewer.sender.drain()
        viewer.at = broadcast.position

    async def _wait(self, viewer: Viewer, look: Look) -> None:
        """Heartbeats while it is attached."""
        while not viewer.let_go.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await viewer.let_go.wait()
            except TimeoutError:
                await look()
                viewer.sender.write(_HEARTBEAT)


class _JobStream(Stream):
    """One viewer of a job."""

    def __init__(self, resource: JobEvents, request: Request, begin: int) -> None:
        self._resource = resource
        self._request = request
        self._begin = begin

    async def run(self, sender: Sink) -> None:
        await self._resource.follow(self._request, sender, self._begin)


class ListQuery(Record):
    """`pipeline`: only its jobs."""

    pipeline: str | None = None


class _Follower:
    """One open list. `pipelines`: what it may see of what it asked for; None for all."""

    __slots__ = ("gone", "pipelines", "sender")

    def __init__(self, sender: Sink, pipelines: frozenset[str] | None) -> None:
        self.sender = sender
        self.pipelines = pipelines
        self.gone = asyncio.Event()


class ListEvents(LiveResource):
    """`/api/v1/events`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._followers: set[_Follower] = set()
        self._last: dict[str, bytes] = {}
        services.engine.listen(self._changed)

    @answers(200, content="text/event-stream", refuses=(503,))
    async def GET(self, request: Request, query: ListQuery) -> Response:
        """`snapshot` (the newest jobs that the caller may see), then `job` for each change of one."""
        if len(self._followers) >= MAX_FOLLOWERS:
            raise Unavailable(
                "too-many-followers",
                f"{MAX_FOLLOWERS} open lists are followed already",
                hint="close some of them, or try again later",
            )
        return Response(200, _ListStream(self, request, query), HEADERS)

    async def follow(self, request: Request, query: ListQuery, sender: Sink) -> None:
        """Until the client leaves, falls too far behind, or may not any more."""
        follower = _Follower(sender, frozenset())

        async def look() -> None:
            try:
                await self._authoriser.authorise(request)
                follower.pipelines = await self._visible(request, query)
            except PlatformError:
                self._followers.discard(follower)
                follower.gone.set()

        with self.looked_at(request, look):
            await look()
            if not follower.gone.is_set():
                await self._follow(follower, look)

    async def _follow(self, follower: _Follower, look: Look) -> None:
        sender = follower.sender
        jobs = await self.services.jobs.list_jobs(JobFilter(follower.pipelines, limit=SNAPSHOT_JOBS))
        cursor = jobs[-1].id if len(jobs) == SNAPSHOT_JOBS else None
        sender.write(Frame(event("snapshot", JobPage(tuple(map(job_summary, jobs)), cursor))))
        self._followers.add(follower)
        try:
            while not follower.gone.is_set():
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await follower.gone.wait()
                except TimeoutError:
                    await look()
                    sender.write(_HEARTBEAT)
        finally:
            self._followers.discard(follower)

    async def _visible(self, request: Request, query: ListQuery) -> frozenset[str] | None:
        visible = await self.services.access.readable(request.actor)
        if query.pipeline is None:
            return visible
        asked = frozenset({query.pipeline})
        return asked if visible is None else asked & visible

    def _changed(self, job: Job) -> None:
        """Called with each new state of each job: only what a list shows counts as news."""
        if not self._followers:
            self._last.clear()
            return
        data = event("job", job_summary(job))
        if self._last.get(job.id) == data:
            return
        self._last[job.id] = data
        if job.status.ended:
            del self._last[job.id]
        frame = Frame(data)
        for follower in list(self._followers):
            if follower.pipelines is not None and job.pipeline not in follower.pipelines:
                continue
            if follower.sender.waiting_bytes > SLOW_BYTES:
                self._followers.discard(follower)
                follower.gone.set()
                continue
            follower.sender.write(frame)


class _ListStream(Stream):
    """One open list."""

    def __init__(self, resource: ListEvents, request: Request, query: ListQuery) -> None:
        self._resource = resource
        self._request = request
        self._query = query

    async def run(self, sender: Sink) -> None:
        await self._resource.follow(self._request, self._query, sender)
