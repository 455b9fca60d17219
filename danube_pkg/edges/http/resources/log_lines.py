"""A job's log by lines: what a page shows of a log that may have millions."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.kit.records import Record

MAX_LINES = 1000
"""In one answer; a screen shows fifty."""


class LinesQuery(Record):
    """`first` counts from 0, below 0 from the end; `step`: only what this step printed is the log."""

    first: Annotated[int, rule(at_least=-MAX_LINES)] = -MAX_LINES
    count: Annotated[int, rule(at_least=1, at_most=MAX_LINES)] = MAX_LINES
    step: Annotated[int | None, rule(at_least=1, at_most=100_000)] = None


class MarkView(Record):
    """From this line of the answer on: when it was written (Unix milliseconds), by which step, whether it is Danube's own."""

    line: int
    time_ms: int
    step: int
    note: bool


class LinesView(Record):
    """`total`: lines of the log now; `open`: the last of them has no line end yet; `end`: the byte offset behind the last line
    of this answer; `texts`: as a terminal would leave each line; `cut`: which of them go on in the file. An answer may have
    fewer lines than were asked for."""

    first: int
    total: int
    size_bytes: int
    end: int
    open: bool
    texts: tuple[str, ...]
    cut: tuple[int, ...]
    marks: tuple[MarkView, ...]


class JobLogLines(Resource):
    """`/api/v1/jobs/{job}/log/lines`."""

    async def GET(self, request: Request, query: LinesQuery) -> LinesView:
        """Some lines of the log by their numbers."""
        found = await self.services.logs.lines(request.job.id, query.first, query.count, step=query.step)
        return LinesView(
            first=found.first,
            total=found.total,
            size_bytes=found.size_bytes,
            end=found.end,
            open=found.is_open,
            texts=tuple(line.text for line in found.lines),
            cut=tuple(number for number, line in enumerate(found.lines) if line.cut),
            marks=tuple(MarkView(one.line, one.time_us // 1000, one.step, one.note) for one in found.marks),
        )


class SectionView(Record):
    """`first` counts from 0; `step` 0 is what Danube says of the whole job."""

    step: int
    first: int
    lines: int


class SectionList(Record):
    """In the order of the log. Steps that ran beside each other take turns."""

    sections: tuple[SectionView, ...]


class JobLogSections(Resource):
    """`/api/v1/jobs/{job}/log/sections`."""

    async def GET(self, request: Request) -> SectionList:
        """Which lines belong to which step."""
        found = await self.services.logs.sections(request.job.id)
        return SectionList(tuple(SectionView(one.step, one.first, one.lines) for one in found))
