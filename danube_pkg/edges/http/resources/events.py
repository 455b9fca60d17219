"""Live events (server-sent events, WHATWG HTML section 9.2): of one job with its log, and of the list of jobs.

Every stream begins with a snapshot. The id of a `log` event is the byte offset behind its bytes, so a client that
reconnects with `Last-Event-ID` continues exactly there. Text is UTF-8: a character that a part cuts is held back until
it is whole, and invalid bytes become U+FFFD; offsets stay those of the file.
"""

import asyncio
import codecs
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import NotFound, PlatformError, Unavailable
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
from danube_pkg.edges.http.resources.logs import check_log
from danube_pkg.edges.http.server.authorisation import Authoriser
from danube_pkg.edges.http.server.messages import Frame, Request, Response, Sink, Stream
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.jobs import JobPage, job_summary
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged

HEARTBEAT_SECONDS = 15.0
"""Shorter than the default idle timeout of any proxy. Each heartbeat reauthorises the stream, since sessions and tokens
expire without an event."""

SNAPSHOT_JOBS = 50

MAX_FOLLOWERS = 5000
"""Streams of the list of jobs; each change of a job writes to every one that may see it."""

HEADERS = (("content-type", "text/event-stream"), ("x-accel-buffering", "no"))

HEARTBEAT = Frame(b": heartbeat\n\n")

_log = logging.getLogger("danube.http")

Reauthorise = Callable[[], Awaitable[None]]
"""Checks again what the stream's caller may see, and narrows or ends the stream accordingly."""


class LiveResource(Resource):
    """What the streams share: each is reauthorised at each heartbeat and whenever rights have changed.

    After a change of rights the open streams are reauthorised one after the other, so that thousands of them do not
    delay other requests.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._authoriser = Authoriser(services)
        self._tasks = TaskOwner(logged(_log))
        self._tracked: dict[Reauthorise, Request] = {}
        self._changed_users: set[str | None] = set()
        self._reauthorising: asyncio.Task[None] | None = None
        services.identity.access.listen(self._access_changed)

    async def close(self) -> None:
        await self._tasks.close()

    async def authorise_again(self, request: Request) -> None:
        """Whether its caller may still do it. Raises what the router would."""
        await self._authoriser.authorise(request)

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that ends with the server."""
        return self._tasks.start(name, work)

    @contextmanager
    def tracked(self, request: Request, reauthorise: Reauthorise) -> Iterator[None]:
        """Call `reauthorise` after each change of the caller's rights, as long as the context is open."""
        self._tracked[reauthorise] = request
        try:
            yield
        finally:
            del self._tracked[reauthorise]

    def _access_changed(self, user_id: str | None) -> None:
        """user_id: None if every user's rights may have changed."""
        if not self._tracked:
            return
        self._changed_users.add(user_id)
        if self._reauthorising is None or self._reauthorising.done():
            self._reauthorising = self._tasks.start("reauthorise streams", self._reauthorise_tracked())

    async def _reauthorise_tracked(self) -> None:
        while self._changed_users:
            users, self._changed_users = self._changed_users, set()
            for reauthorise, request in list(self._tracked.items()):
                if reauthorise in self._tracked and (None in users or request.actor.user_id in users):
                    await reauthorise()
                    await asyncio.sleep(0)


class FollowQuery(Record):
    """Where to begin."""

    begin: Annotated[
        int, rule("The byte offset in the log to begin at; `Last-Event-ID` takes precedence.", key="from", at_least=0)
    ] = 0


class JobEvents(LiveResource):
    """`/api/v1/jobs/{job}/events`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._broadcasts = Broadcasts(services, self._tasks.start)

    @answers(200, content="text/event-stream")
    async def GET(self, request: Request, query: FollowQuery) -> Response:
        """`snapshot` (job and steps), then `log`, `step` and `job` as they occur, and `end` when the log is
        complete."""
        with contextlib.suppress(NotFound):  # its job is shown all the same
            await check_log(self.services, request.job)
        last = request.headers.get("last-event-id", "")
        begin = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else query.begin
        return Response(200, _JobStream(self, request, begin), HEADERS)

    async def follow(self, request: Request, sender: Sink, begin: int) -> None:
        """Until the job has ended, or the caller may no longer see it."""
        broadcast = self._broadcasts.join(request.job)
        viewer = Viewer(sender, min(begin, broadcast.position))

        async def reauthorise() -> None:
            try:
                await self._authoriser.authorise(request)
            except PlatformError:
                viewer.refused = True
                broadcast.detach(viewer)

        try:
            with self.tracked(request, reauthorise):
                await reauthorise()  # rights may have changed since the request was authorised
                await self._follow(broadcast, viewer, reauthorise)
        finally:
            broadcast.detach(viewer)
            self._broadcasts.leave(broadcast)

    async def _follow(self, broadcast: Broadcast, viewer: Viewer, reauthorise: Reauthorise) -> None:
        """A failed broadcast ends the stream before the event `end`: the client connects again, to a new one."""
        sender = viewer.sender
        while not viewer.refused:
            sender.write(Frame(broadcast.snapshot()))
            await self._catch_up(broadcast, viewer)
            if viewer.refused:
                return
            if broadcast.ended:
                sender.write(Frame(broadcast.last_events()))
                return
            if broadcast.over:
                return
            broadcast.attach(viewer)
            await self._wait(viewer, reauthorise)
            if broadcast.over:
                return
            await sender.drain()

    async def _catch_up(self, broadcast: Broadcast, viewer: Viewer) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        at = viewer.at
        while at < broadcast.position and not viewer.refused:
            data = await self.services.jobs.logs.read(broadcast.job.id, at, min(broadcast.position, at + PART_BYTES))
            if not data:
                break
            at += len(data)
            text = decoder.decode(data, final=at == broadcast.position)
            held, _ = decoder.getstate()
            viewer.sender.write(Frame(log_event(text, at - len(held))))
            await viewer.sender.drain()
        viewer.at = broadcast.position

    async def _wait(self, viewer: Viewer, reauthorise: Reauthorise) -> None:
        """Send heartbeats while the viewer is attached."""
        while not viewer.detached.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await viewer.detached.wait()
            except TimeoutError:
                await reauthorise()
                viewer.sender.write(HEARTBEAT)


class _JobStream(Stream):
    """The answer to one viewer of a job."""

    def __init__(self, resource: JobEvents, request: Request, begin: int) -> None:
        self._resource = resource
        self._request = request
        self._begin = begin

    async def run(self, sender: Sink) -> None:
        await self._resource.follow(self._request, sender, self._begin)


class ListQuery(Record):
    """Which jobs."""

    pipeline: Annotated[str | None, rule("Only jobs of this pipeline.")] = None


class _Follower:
    """One open stream of the list. pipelines: those that it shows; None for all."""

    __slots__ = ("closed", "pipelines", "sender")

    def __init__(self, sender: Sink, pipelines: frozenset[str] | None) -> None:
        self.sender = sender
        self.pipelines = pipelines
        self.closed = asyncio.Event()


class ListEvents(LiveResource):
    """`/api/v1/events`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._followers: set[_Follower] = set()
        self._last: dict[str, bytes] = {}
        services.jobs.engine.listen(self._changed)

    @answers(200, content="text/event-stream", refuses=(503,))
    async def GET(self, request: Request, query: ListQuery) -> Response:
        """`snapshot` (the newest jobs that the caller may see), then `job` for each change of one."""
        if len(self._followers) >= MAX_FOLLOWERS:
            raise Unavailable(
                "too-many-followers",
                f"the list of jobs already has {MAX_FOLLOWERS} open streams",
                hint="close some of them, or try again later",
            )
        return Response(200, _ListStream(self, request, query), HEADERS)

    async def follow(self, request: Request, query: ListQuery, sender: Sink) -> None:
        """Until the client leaves, reads too slowly, or is no longer authorised."""
        follower = _Follower(sender, frozenset())

        async def reauthorise() -> None:
            try:
                await self._authoriser.authorise(request)
                follower.pipelines = await self._visible(request, query)
            except PlatformError:
                self._followers.discard(follower)
                follower.closed.set()

        with self.tracked(request, reauthorise):
            await reauthorise()
            if not follower.closed.is_set():
                await self._follow(follower, reauthorise)

    async def _follow(self, follower: _Follower, reauthorise: Reauthorise) -> None:
        sender = follower.sender
        jobs = await self.services.jobs.store.list_jobs(JobFilter(follower.pipelines, limit=SNAPSHOT_JOBS))
        cursor = jobs[-1].id if len(jobs) == SNAPSHOT_JOBS else None
        sender.write(Frame(event("snapshot", JobPage(tuple(map(job_summary, jobs)), cursor))))
        self._followers.add(follower)
        try:
            while not follower.closed.is_set():
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await follower.closed.wait()
                except TimeoutError:
                    await reauthorise()
                    sender.write(HEARTBEAT)
        finally:
            self._followers.discard(follower)

    async def _visible(self, request: Request, query: ListQuery) -> frozenset[str] | None:
        visible = await self.services.identity.access.readable(request.actor)
        if query.pipeline is None:
            return visible
        chosen = frozenset({query.pipeline})
        return chosen if visible is None else chosen & visible

    def _changed(self, job: Job) -> None:
        """Called with each new state of each job; sends it if what a list shows has changed."""
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
                follower.closed.set()
                continue
            follower.sender.write(frame)


class _ListStream(Stream):
    """The answer to one client that follows the list."""

    def __init__(self, resource: ListEvents, request: Request, query: ListQuery) -> None:
        self._resource = resource
        self._request = request
        self._query = query

    async def run(self, sender: Sink) -> None:
        await self._resource.follow(self._request, self._query, sender)
