"""A job's log by line numbers, for pages that show a part of a long log."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.resources.logs import check_log
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.logs import LinesView, SectionList, SectionView, lines_view
from danube_pkg.kit.records import Record

MAX_LINES = 1000
"""Lines in one answer; a screen shows fifty."""


class LinesQuery(Record):
    """Which lines."""

    first: Annotated[
        int, rule("The first line, from 0; below 0 it counts from the end.", at_least=-MAX_LINES)
    ] = -MAX_LINES
    count: Annotated[int, rule("How many lines.", at_least=1, at_most=MAX_LINES)] = MAX_LINES
    step: Annotated[
        int | None, rule("Only the output of this step, numbered by itself.", at_least=1, at_most=100_000)
    ] = None


class JobLogLines(Resource):
    """`/api/v1/jobs/{job}/log/lines`."""

    async def GET(self, request: Request, query: LinesQuery) -> LinesView:
        """Some lines of the log by their numbers."""
        await check_log(self.services, request.job)
        return lines_view(
            await self.services.jobs.logs.lines(request.job.id, query.first, query.count, step=query.step)
        )


class JobLogSections(Resource):
    """`/api/v1/jobs/{job}/log/sections`."""

    async def GET(self, request: Request) -> SectionList:
        """Which lines belong to which step."""
        await check_log(self.services, request.job)
        found = await self.services.jobs.logs.sections(request.job.id)
        return SectionList(tuple(SectionView(one.step, one.first, one.lines) for one in found))
