"""Pipelines: lists with their last runs, one with its rights, its statistics, and starting it."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Action, can
from danube_pkg.core.jobs.statistics import pipeline_statistics
from danube_pkg.edges.http.server.caching import AnswerCache
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.forge_links import file_url
from danube_pkg.edges.http.views.jobs import JobSummary, job_summary
from danube_pkg.edges.http.views.pipelines import (
    PipelineDetail,
    PipelinePage,
    StatisticsView,
    pipeline_detail,
    pipeline_view,
    statistics_view,
)
from danube_pkg.kit.records import Record, field
from danube_pkg.services.jobs.requests import start

NAME_PATTERN = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
MAX_RUNS = 20
MAX_PAGE = 1000
STATISTICS_JOBS = 500
"""The newest jobs, which the statistics are about: as many as a chart shows."""


class PipelinesQuery(Record):
    """Every filter can be combined with every other."""

    team: Annotated[str | None, rule("Only pipelines that this team owns.")] = None
    q: Annotated[str, rule("Only pipelines whose name contains this.", pattern=r".{0,100}")] = ""
    runs: Annotated[int, rule("How many of its last runs each pipeline has.", at_least=0, at_most=MAX_RUNS)] = 0
    cursor: Annotated[str, rule("The `cursor` of the page before.", pattern=r".{0,100}")] = ""
    limit: Annotated[int, rule("How many pipelines a page has.", at_least=1, at_most=MAX_PAGE)] = MAX_PAGE


class Pipelines(Resource):
    """`/api/v1/pipelines`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._cache = AnswerCache()

    @answers(200, 304)
    async def GET(self, request: Request, query: PipelinesQuery) -> PipelinePage | Response:
        """Pipelines that the caller may see, by name."""
        version = self.services.jobs.store.version()
        visible = await self.services.identity.access.readable(request.actor)
        return await self._cache.respond(request, version, (visible, query), lambda: self._page(visible, query))

    async def _page(self, visible: frozenset[str] | None, query: PipelinesQuery) -> PipelinePage:
        part = query.q.lower()
        wanted = [
            one
            for one in await self.services.pipelines.list_pipelines()
            if one.name > query.cursor
            and (visible is None or one.name in visible)
            and (query.team is None or one.team == query.team)
            and part in one.name
        ]
        shown = wanted[: query.limit]
        newest = (
            await self.services.jobs.store.newest_runs([one.name for one in shown], query.runs) if query.runs else {}
        )
        views = tuple(pipeline_view(one, tuple(newest.get(one.name, ()))) for one in shown)
        return PipelinePage(views, shown[-1].name if len(wanted) > len(shown) else None)


class OnePipeline(Resource):
    """`/api/v1/pipelines/{pipeline}`."""

    async def GET(self, request: Request) -> PipelineDetail:
        """One pipeline, with its rights and triggers."""
        pipeline, target = request.pipeline, request.target
        applied, repository = self.services.configuration.applied, self.services.configuration.sync.repository
        definition = applied.state.pipelines.get(pipeline.name)
        revision = applied.revision.revision
        place = definition.place if definition is not None else None
        return pipeline_detail(
            pipeline,
            definition,
            target,
            may=tuple(action for action in Action if can(request.actor, action, target)),
            revision=revision,
            place_url=file_url(repository.url, applied, revision, place),
            now=self.services.clock.now(),
        )


class PipelineStatistics(Resource):
    """`/api/v1/pipelines/{pipeline}/stats`."""

    async def GET(self, request: Request) -> StatisticsView:
        """Success rate and durations of a pipeline's newest jobs."""
        times = await self.services.jobs.store.job_times(request.pipeline.name, STATISTICS_JOBS)
        return statistics_view(pipeline_statistics(times))


class TriggerBody(Record):
    """What to build, and with which parameters."""

    ref: Annotated[
        str, rule("A branch, a tag or a commit; empty for the default branch.", pattern=r"[^\x00-\x20]{0,255}")
    ] = ""
    params: Annotated[Mapping[str, str], rule("Values of the pipeline's parameters, by name.")] = field(
        default_factory=dict
    )


class PipelineJobs(Resource):
    """`/api/v1/pipelines/{pipeline}/jobs`."""

    @answers(201, refuses=(409, 503))
    async def POST(self, request: Request, body: TriggerBody) -> JobSummary:
        """Start a job for the commit that `ref` names now, which is looked up after the response where the repository
        is on another machine."""
        name = request.pipeline.name
        definition = self.services.configuration.applied.state.pipelines.get(name)
        job = await start(
            self.services.jobs.engine,
            self.services.secrets,
            name,
            ref=body.ref,
            params=body.params,
            declared=definition.spec.params if definition is not None else {},
            actor=request.actor.name,
            job_id=request.reserved_id,
        )
        return job_summary(job)
