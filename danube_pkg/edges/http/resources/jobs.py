"""Jobs: lists, one with its steps, and the actions on them."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Action, can
from danube_pkg.core.jobs.explanation import explain, summary_of
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.report_notes import note_lines
from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.server.caching import AnswerCache
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.forge_links import commit_url
from danube_pkg.edges.http.views.jobs import Explanation, JobDetail, JobPage, JobSummary, job_detail, job_summary
from danube_pkg.edges.http.views.report_notes import annotation_views, coverage_views
from danube_pkg.kit.records import Record
from danube_pkg.services.jobs.requests import approve, rerun

JOB_PATTERN = r"[0-9a-z-]{1,64}"
PAGE = 50
MAX_PAGE = 200


_DECISIONS = {True: "approve-environment", False: "reject-environment"}
"""What a caller may do about the environment that a job waits for."""


class JobsQuery(Record):
    """Every filter can be combined with every other."""

    pipeline: Annotated[str | None, rule("Only jobs of this pipeline.")] = None
    status: Annotated[Status | None, rule("Only jobs with this status.")] = None
    branch: Annotated[str | None, rule("Only jobs of this branch.")] = None
    cursor: Annotated[str | None, rule("The `cursor` of the page before.", pattern=JOB_PATTERN)] = None
    limit: Annotated[int, rule("How many jobs a page has.", at_least=1, at_most=MAX_PAGE)] = PAGE


class Jobs(Resource):
    """`/api/v1/jobs`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._cache = AnswerCache()

    @answers(200, 304)
    async def GET(self, request: Request, query: JobsQuery) -> JobPage | Response:
        """Jobs that the caller may see, newest first."""
        version = self.services.jobs.store.version()
        visible = await self.services.identity.access.readable(request.actor)
        return await self._cache.respond(request, version, (visible, query), lambda: self._page(visible, query))

    async def _page(self, visible: frozenset[str] | None, query: JobsQuery) -> JobPage:
        chosen = frozenset({query.pipeline}) if query.pipeline is not None else None
        pipelines = visible if chosen is None else chosen if visible is None else chosen & visible
        wanted = JobFilter(pipelines, query.status, query.branch, query.cursor, query.limit)
        jobs = await self.services.jobs.store.list_jobs(wanted)
        return JobPage(tuple(map(job_summary, jobs)), jobs[-1].id if len(jobs) == query.limit else None)


class OneJob(Resource):
    """`/api/v1/jobs/{job}`."""

    async def GET(self, request: Request) -> JobDetail:
        """One job with its steps."""
        job, applied = request.job, self.services.configuration.applied
        may = [str(action) for action in Action if can(request.actor, action, request.target)]
        refusals = await self.services.jobs.decisions.refusals(job, request.actor)
        if Action.DECIDE_ENVIRONMENT in may:
            may += [name for approve, name in _DECISIONS.items() if refusals.get(approve) == ""]
        page = commit_url(job.settings.repository, applied, job.trigger.revision.commit_sha)
        return job_detail(job, tuple(may), page, refusals.get(True, ""))


class JobCancel(Resource):
    """`/api/v1/jobs/{job}/cancel`."""

    @answers(202, refuses=(409,))
    async def POST(self, request: Request) -> JobSummary:
        """Cancel a job that has not ended. Its commands get SIGTERM, then SIGKILL."""
        return job_summary(await self.services.jobs.engine.cancel(request.job.id, request.actor.name))


class RerunQuery(Record):
    """What is run again."""

    failed_steps: Annotated[
        bool, rule("For the failed steps: the others are restored from their snapshots where they can be.")
    ] = False


class JobRerun(Resource):
    """`/api/v1/jobs/{job}/rerun`."""

    @answers(201, refuses=(409, 503))
    async def POST(self, request: Request, query: RerunQuery) -> JobSummary:
        """Start a new job for the same commit and parameters, by the pipeline's current definition."""
        engine, by, failed_steps = self.services.jobs.engine, request.actor.name, query.failed_steps
        again = rerun(engine, request.job, by, failed_steps=failed_steps, new_job_id=request.reserved_id)
        return job_summary(await again)


class CommitApproval(Record):
    """An approval of one commit."""

    commit_sha: Annotated[
        str, rule("The full hash of the commit that the approver has reviewed.", pattern=r"[0-9a-f]{40}([0-9a-f]{24})?")
    ]


class JobApprove(Resource):
    """`/api/v1/jobs/{job}/approve`."""

    @answers(202, refuses=(409,))
    async def POST(self, request: Request, body: CommitApproval) -> JobSummary:
        """Let a job of untrusted code run. The approval is for exactly that commit."""
        return job_summary(await approve(self.services.jobs.engine, request.job, body.commit_sha, request.actor.name))


class JobExplanation(Resource):
    """`/api/v1/jobs/{job}/explanation`."""

    async def GET(self, request: Request) -> Explanation:
        """Why a job waits, or why it failed."""
        job = request.job
        waiting = self.services.jobs.engine.waiting(job) if job.phase is Phase.QUEUED else None
        notes = await self.services.jobs.notes.list_notes(job.id)
        outside = self.services.jobs.engine.waits_of(job.id)
        found = explain(job, waiting, self.services.jobs.draining.by, outside, note_lines(notes))
        return Explanation(
            about=summary_of(job),
            lines=found.lines,
            hint=found.hint,
            position=found.position or None,
            waits_for=found.waits_for,
            coverage=coverage_views(notes),
            annotations=annotation_views(notes, await self.services.jobs.reports.list_cases(job.id)),
        )
