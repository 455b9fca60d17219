"""Live events of a job as server-sent events (WHATWG HTML, section 9.2).

Every connection begins with a snapshot. A `log` event's id is the byte offset behind its bytes, so that a client that
comes back with `Last-Event-ID` continues exactly. Text is UTF-8: a character that is cut by a chunk is held until it is
whole, and bytes that are none become U+FFFD; offsets stay those of the file.
"""

import asyncio
import codecs
import json
from collections.abc import AsyncIterator
from typing import Any

from danube_pkg.core.jobs import Job
from danube_pkg.core.steps import Step
from danube_pkg.edges.http import representations as show
from danube_pkg.edges.http.handlers import Resource
from danube_pkg.edges.http.messages import Request, Response
from danube_pkg.services.following import JobNews, LogPart, follow_job

HEARTBEAT_SECONDS = 15.0
"""Below the shortest idle timeout that proxies have by default."""


class JobEvents(Resource):
    """A job as it goes on, as server-sent events: a snapshot, then `log`, `step` and `job`. An id is a byte offset of the log,
    so that a browser that connects again continues exactly."""

    async def GET(self, request: Request) -> Response:
        job = await self.job(request)
        last = request.headers.get("last-event-id", request.query.get("from", "0"))
        begin = int(last) if last.isdecimal() else 0
        headers = (("content-type", "text/event-stream"), ("x-accel-buffering", "no"))
        return Response(200, self._events(job, begin), headers)

    async def _events(self, job: Job, begin: int) -> AsyncIterator[bytes]:
        yield _event("snapshot", show.job_detail(job))
        async with follow_job(self.services.engine, self.services.logs, job.id, begin) as news:
            async for frame in _with_heartbeat(_frames(news, job, begin)):
                yield frame


async def _frames(news: AsyncIterator[JobNews], job: Job, begin: int) -> AsyncIterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown: dict[int, Step] = {step.sequence: step for step in job.steps}
    async for item in news:
        if isinstance(item, LogPart):
            text = decoder.decode(item.data)
            held, _ = decoder.getstate()
            if text:
                yield _event("log", {"text": text}, item.offset + len(item.data) - len(held))
            continue
        for step in item.steps:
            if step.sequence and shown.get(step.sequence) != step:
                shown[step.sequence] = step
                yield _event("step", show.step_view(step))
        if item.status.ended:
            rest = decoder.decode(b"", final=True)
            if rest:
                yield _event("log", {"text": rest})
            yield _event("job", show.job_summary(item))
            yield _event("end", {"status": item.status})
            return
        yield _event("job", show.job_summary(item))


def _event(name: str, data: Any, offset: int | None = None) -> bytes:
    identity = f"id: {offset}\n" if offset is not None else ""
    return f"event: {name}\n{identity}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


async def _with_heartbeat(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A comment in silence, so that both sides notice a dead connection."""
    pending: asyncio.Future[bytes] | None = None
    try:
        while True:
            pending = asyncio.ensure_future(anext(frames))
            while not (await asyncio.wait((pending,), timeout=HEARTBEAT_SECONDS))[0]:
                yield b": heartbeat\n\n"
            try:
                yield pending.result()
            except StopAsyncIteration:
                return
    finally:
        if pending is not None and not pending.done():
            pending.cancel()
            await asyncio.wait((pending,))
