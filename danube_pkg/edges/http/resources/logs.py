"""A job's log: bytes of it, one step's alone, and where a text stands in it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.server.bodies import Time, iso_or_none
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.ranges import requested_range
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.kit.records import Record

CHUNK_BYTES = 256 * 1024
MAX_HITS = 1000


class LogQuery(Record):
    """`step`: only what this step printed."""

    step: Annotated[int | None, rule(at_least=1, at_most=100_000)] = None


class JobLogResource(Resource):
    """`/api/v1/jobs/{job}/log`."""

    @answers(200, 206, content="text/plain; charset=utf-8", refuses=(416,))
    async def GET(self, request: Request, query: LogQuery) -> Response:
        """Plain text; `Range` of bytes."""
        job, step = request.job, query.step
        sized = partial(self.services.logs.size, job.id, step=step)
        size = sized() if step is None else await asyncio.to_thread(sized)  # a step's ranges may take a pass
        status, begin, end, headers = requested_range(request.headers.get("range"), size)
        headers += (("content-type", "text/plain; charset=utf-8"), ("content-length", str(end - begin)))
        return Response(status, self._parts(job.id, begin, end, step), headers)

    async def _parts(self, job_id: str, begin: int, end: int, step: int | None) -> AsyncIterator[bytes]:
        while begin < end:
            part = await self.services.logs.read(job_id, begin, min(end, begin + CHUNK_BYTES), step=step)
            if not part:
                return
            yield part
            begin += len(part)


class SearchQuery(Record):
    """`q`: the text; `from`: the offset at which to begin; upper and lower case are the same unless `case`."""

    q: Annotated[str, rule(pattern=r"[^\n]{1,200}")]
    begin: Annotated[int, rule(key="from", at_least=0)] = 0
    limit: Annotated[int, rule(at_least=1, at_most=MAX_HITS)] = 200
    case: bool = False


class HitView(Record):
    """`line` counts from 1; `offset` is that of the line's first byte; `text` is the line, cut to a few hundred bytes."""

    line: int
    offset: int
    text: str


class HitPage(Record):
    """`next`: where to go on, null at the end; `size_bytes`: how long the log is now, for a scroll bar."""

    hits: tuple[HitView, ...]
    next: int | None
    size_bytes: int


class JobLogSearch(Resource):
    """`/api/v1/jobs/{job}/log/search`."""

    async def GET(self, request: Request, query: SearchQuery) -> HitPage:
        """Lines of the log that hold a text, in order."""
        found = await self.services.logs.search(
            request.job.id, query.q, begin=query.begin, limit=query.limit, match_case=query.case
        )
        hits = tuple(HitView(hit.line, hit.offset, hit.text) for hit in found.hits)
        return HitPage(hits, found.next, self.services.logs.size(request.job.id))


class TimesQuery(Record):
    """`at`: a byte offset in the log."""

    at: Annotated[int, rule(at_least=0)]


class TimeView(Record):
    """When the byte was written; null where there is none."""

    at: int
    time: Time | None


class JobLogTime(Resource):
    """`/api/v1/jobs/{job}/log/time`."""

    async def GET(self, request: Request, query: TimesQuery) -> TimeView:
        """When something was printed."""
        return TimeView(query.at, iso_or_none(self.services.logs.time_at(request.job.id, query.at)))
