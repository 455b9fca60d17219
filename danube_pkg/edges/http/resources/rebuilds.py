"""Rebuilds of jobs."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.jobs import JobSummary, job_summary
from danube_pkg.edges.http.views.rebuilds import RebuildReport, rebuild_report
from danube_pkg.kit.records import Record
from danube_pkg.services.jobs.requests import rebuild


class RebuildRequest(Record):
    """What a rebuild may have."""

    with_secrets: Annotated[tuple[str, ...], rule("The keys of the secrets that it may read.")] = ()


class JobRebuild(Resource):
    """`/api/v1/jobs/{job}/rebuild`."""

    @answers(201, refuses=(409, 503))
    async def POST(self, request: Request, body: RebuildRequest) -> JobSummary:
        """Start a job that builds the same commit again in the same images, and is compared with this one."""
        services, by = self.services, request.actor.name
        secrets, new_id = body.with_secrets, request.reserved_id
        made = await rebuild(
            services.jobs.engine, services.secrets, request.job, by, with_secrets=secrets, new_job_id=new_id
        )
        return job_summary(made)

    @answers(200, refuses=(409,))
    async def GET(self, request: Request) -> RebuildReport:
        """What this job, a rebuild, and its original have built."""
        return rebuild_report(request.job, await self.services.provenance.statements.compare(request.job))
