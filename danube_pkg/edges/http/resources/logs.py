"""A job's log as bytes, searching it, and when a byte was written."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import NotFound
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.retention.plan import FileKind
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.ranges import requested_range
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.logs import HitPage, TimeView, hit_page
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import iso, iso_or_none

CHUNK_BYTES = 256 * 1024
MAX_HITS = 1000


async def check_log(services: Services, job: Job) -> None:
    """Raises NotFound for an ended job whose log is gone: `log-removed` where it was removed by its age, else
    `log-lost`. Repairs what is left of a damaged one."""
    if job.status.ended and job.started_at is not None:
        removed_at = (await services.storage.retention.of_job(job.id)).removed_at.get(FileKind.LOGS)
        if removed_at is not None:
            raise NotFound(
                "log-removed",
                f"the log of this job was removed on {iso(removed_at)[:10]}",
                cause="logs are kept for retention.logs_days, and up to retention.logs_gb together",
                hint="keep a job's files before they are due: danube jobs keep JOB",
            )
        await services.jobs.logs.check(job.id)


class LogQuery(Record):
    """Which part of the log."""

    step: Annotated[int | None, rule("Only the output of this step.", at_least=1, at_most=100_000)] = None


class JobLogResource(Resource):
    """`/api/v1/jobs/{job}/log`."""

    @answers(200, 206, content="text/plain; charset=utf-8", refuses=(416,))
    async def GET(self, request: Request, query: LogQuery) -> Response:
        """The log as plain text; `Range` selects bytes."""
        job, step = request.job, query.step
        await check_log(self.services, job)
        sized = partial(self.services.jobs.logs.size, job.id, step=step)
        size = sized() if step is None else await asyncio.to_thread(sized)  # reads the index to find the step's ranges
        status, begin, end, headers = requested_range(request.headers.get("range"), size)
        headers += (("content-type", "text/plain; charset=utf-8"), ("content-length", str(end - begin)))
        return Response(status, self._parts(job.id, begin, end, step), headers)

    async def _parts(self, job_id: str, begin: int, end: int, step: int | None) -> AsyncIterator[bytes]:
        while begin < end:
            part = await self.services.jobs.logs.read(job_id, begin, min(end, begin + CHUNK_BYTES), step=step)
            if not part:
                return
            yield part
            begin += len(part)


class SearchQuery(Record):
    """What to search for, and from where."""

    q: Annotated[str, rule("The text.", pattern=r"[^\n]{1,200}")]
    begin: Annotated[int, rule("The byte offset to begin at.", key="from", at_least=0)] = 0
    limit: Annotated[int, rule("How many hits a page has.", at_least=1, at_most=MAX_HITS)] = 200
    case: Annotated[bool, rule("True if upper and lower case differ.")] = False
    step: Annotated[
        int | None,
        rule("Only in the output of this step; lines and offsets count within it.", at_least=1, at_most=100_000),
    ] = None


class JobLogSearch(Resource):
    """`/api/v1/jobs/{job}/log/search`."""

    async def GET(self, request: Request, query: SearchQuery) -> HitPage:
        """Lines of the log in which a text is seen, in order: colours and what a carriage return hides do not count."""
        await check_log(self.services, request.job)
        job_id, logs = request.job.id, self.services.jobs.logs
        found = await logs.search(
            job_id, query.q, begin=query.begin, limit=query.limit, match_case=query.case, step=query.step
        )
        return hit_page(found, await asyncio.to_thread(partial(logs.size, job_id, step=query.step)))


class TimesQuery(Record):
    """Which byte."""

    at: Annotated[int, rule("A byte offset in the log.", at_least=0)]


class JobLogTime(Resource):
    """`/api/v1/jobs/{job}/log/time`."""

    async def GET(self, request: Request, query: TimesQuery) -> TimeView:
        """When a byte of the log was written."""
        await check_log(self.services, request.job)
        return TimeView(query.at, iso_or_none(self.services.jobs.logs.time_at(request.job.id, query.at)))
