"""Retention: what would be removed, removing it now, and jobs whose files are kept."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.retention import (
    JobRetentionView,
    ReapView,
    RetentionView,
    job_retention_view,
    reap_view,
    retention_view,
)
from danube_pkg.kit.records import Record


class RetentionState(Resource):
    """`/api/v1/system/retention`."""

    async def GET(self, request: Request) -> RetentionView:
        """What a removal of old files would remove now, and why."""
        retention = self.services.storage.retention
        plan = await retention.plan()
        images = await retention.plan_images()
        return retention_view(
            plan, images, await retention.due_caches(), await retention.clock_problem(), await retention.last_run()
        )


class ReapOrder(Record):
    """A removal."""

    trust_clock: Annotated[bool, rule("The caller has checked the time: it is right, though it jumped.")] = False


class Reap(Resource):
    """`/api/v1/system/reap`."""

    @answers(200, refuses=(409,))
    async def POST(self, request: Request, body: ReapOrder) -> ReapView:
        """Remove the files that are due, without waiting for the next time."""
        run = await self.services.storage.retention.reap(request.actor.name, trust_clock=body.trust_clock)
        return reap_view(run)


class JobKeep(Resource):
    """`/api/v1/jobs/{job}/keep`."""

    async def GET(self, request: Request) -> JobRetentionView:
        """Whether the job's files are kept, and which were removed."""
        return job_retention_view(await self.services.storage.retention.of_job(request.job.id))

    async def PUT(self, request: Request) -> JobRetentionView:
        """Keep the job's log and artifacts, whatever their age."""
        return job_retention_view(await self.services.storage.retention.keep(request.job.id, request.actor.name))

    async def DELETE(self, request: Request) -> JobRetentionView:
        """Let the job's files be removed when they are due."""
        return job_retention_view(await self.services.storage.retention.unkeep(request.job.id))
