"""Pipelines: lists with their last runs, one with who may what, its figures, and starting it."""

from collections.abc import Mapping
from itertools import starmap
from typing import Annotated, Any

from danube_pkg.core.configuration.pipelines import ParamSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.configuration.trigger_descriptions import describe_trigger
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Action, can
from danube_pkg.core.jobs.filters import RunSummary
from danube_pkg.core.jobs.statistics import pipeline_statistics
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.resources.jobs import JobSummary, job_summary
from danube_pkg.edges.http.server.bodies import Time, iso, iso_or_none
from danube_pkg.edges.http.server.caching import AnswerCache, json_answer, unless_known
from danube_pkg.edges.http.server.compression import takes_gzip
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.forge_links import file_url
from danube_pkg.kit.records import Record, field
from danube_pkg.services.jobs.requests import start
from danube_pkg.services.triggers.schedules import next_start

NAME_PATTERN = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
MAX_RUNS = 20
MAX_PAGE = 1000
STATISTICS_JOBS = 500
"""The newest: what a chart shows, and what a figure should be about."""


class RunView(Record):
    """A job in the strip of a pipeline's last runs."""

    id: str
    status: Status
    branch: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class PipelineView(Record):
    """`newest`: its last runs, newest first, as many as were asked for."""

    name: str
    team: str
    repository: str
    script: str
    image: str
    max_duration_seconds: int
    workspace_size_gb: int
    cron_schedule: str | None
    removed: bool
    newest: tuple[RunView, ...] = ()


class StartView(Record):
    """Something beside people that starts it. `kind`: push, tag, pull_request, cron, manual or pipeline; `words`: what that
    means, filters included; `schedule`, `timezone` and `next_at` of a cron; `pipeline`: whose end starts this one."""

    kind: str
    words: str
    schedule: str
    timezone: str
    next_at: Time | None
    pipeline: str


class ParamView(Record):
    """A parameter of a start by hand. `default`: null where a value must be given; `choices`: the only values there are."""

    name: str
    type: str
    default: str | None
    choices: tuple[str, ...]
    description: str


class PipelineDetail(Record):
    """`may`: what the caller may do with it; `levels`: what teams may, the owner's included; `place`: where it stands in the
    configuration, of `revision`; `place_url`: that at the forge, empty where it is not known; `text`: as it is written there;
    `badge`: whether its badge can be seen without a login."""

    name: str
    team: str
    repository: str
    script: str
    image: str
    max_duration_seconds: int
    workspace_size_gb: int
    cron_schedule: str | None
    removed: bool
    branch_filter: tuple[str, ...]
    levels: Mapping[str, str]
    may: tuple[str, ...]
    place: str
    revision: str
    place_url: str
    text: str
    starts: tuple[StartView, ...]
    params: tuple[ParamView, ...]
    badge: bool


class PipelinePage(Record):
    """`cursor`: what gives the next page; null on the last."""

    pipelines: tuple[PipelineView, ...]
    cursor: str | None


class PipelinesQuery(Record):
    """`runs`: how many of its last runs each brings along; `q`: a part of the name."""

    team: str | None = None
    q: Annotated[str, rule(pattern=r".{0,100}")] = ""
    runs: Annotated[int, rule(at_least=0, at_most=MAX_RUNS)] = 0
    cursor: Annotated[str, rule(pattern=r".{0,100}")] = ""
    limit: Annotated[int, rule(at_least=1, at_most=MAX_PAGE)] = MAX_PAGE


class Pipelines(Resource):
    """`/api/v1/pipelines`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._kept = AnswerCache()

    @answers(200, 304)
    async def GET(self, request: Request, query: PipelinesQuery) -> PipelinePage | Response:
        """Pipelines that the caller may see, by name."""
        version = self.services.jobs.version()
        visible = await self.services.access.readable(request.actor)
        key = (visible, query, takes_gzip(request))
        response = self._kept.find(version, key)
        if response is None:
            response = json_answer(request, await self._page(visible, query))
            self._kept.keep(version, key, response)
        return unless_known(request, response)

    async def _page(self, visible: frozenset[str] | None, query: PipelinesQuery) -> PipelinePage | Response:
        words = query.q.lower()
        wanted = [
            one
            for one in await self.services.pipelines.list_pipelines()
            if one.name > query.cursor
            and (visible is None or one.name in visible)
            and (query.team is None or one.team == query.team)
            and words in one.name
        ]
        shown = wanted[: query.limit]
        newest = await self.services.jobs.newest_runs([one.name for one in shown], query.runs) if query.runs else {}
        views = tuple(
            PipelineView(**_facts(one), newest=tuple(map(_run_view, newest.get(one.name, ())))) for one in shown
        )
        return PipelinePage(views, shown[-1].name if len(wanted) > len(shown) else None)


def _run_view(run: RunSummary) -> RunView:
    return RunView(
        run.id, run.status, run.branch, iso(run.created_at), iso_or_none(run.started_at), iso_or_none(run.finished_at)
    )


class OnePipeline(Resource):
    """`/api/v1/pipelines/{pipeline}`."""

    async def GET(self, request: Request) -> PipelineDetail:
        """One pipeline, with who may what."""
        pipeline, target = request.pipeline, request.target
        owner = {target.owner: "admin"} if target.owner else {}
        applied, repository = self.services.applied, self.services.configuration.repository
        definition = applied.state.pipelines.get(pipeline.name)
        revision = applied.revision.revision
        return PipelineDetail(
            **_facts(pipeline),
            branch_filter=pipeline.branch_filter,
            levels={**{team: str(level) for team, level in sorted(target.levels.items())}, **owner},
            may=tuple(action for action in Action if can(request.actor, action, target)),
            place=str(definition.place) if definition is not None else "",
            revision=revision,
            place_url=file_url(repository.url, applied, revision, definition.place) if definition is not None else "",
            text=definition.text if definition is not None else "",
            starts=_starts(definition, self.services.clock.now()) if definition is not None else (),
            params=tuple(starmap(_param, definition.spec.params.items())) if definition is not None else (),
            badge=definition is not None and definition.spec.badge,
        )


def _starts(definition: PipelineDefinition, now: float) -> tuple[StartView, ...]:
    def view(one: TriggerSpec) -> StartView:
        next_at = next_start(definition.name, one, now) if one.kind is TriggerKind.CRON else None
        words = describe_trigger(one, definition.spec)
        return StartView(one.kind, words, one.schedule, one.timezone, iso_or_none(next_at), one.pipeline)

    return tuple(map(view, definition.spec.triggers))


def _param(name: str, param: ParamSpec) -> ParamView:
    return ParamView(name, param.type, param.default, param.choices, param.description)


def _facts(pipeline: Pipeline) -> dict[str, Any]:
    """What both views begin with."""
    settings = pipeline.settings
    return {
        "name": pipeline.name,
        "team": pipeline.team,
        "repository": settings.repository,
        "script": settings.script,
        "image": settings.image,
        "max_duration_seconds": settings.max_duration_seconds,
        "workspace_size_gb": settings.workspace_size_gb,
        "cron_schedule": pipeline.cron_schedule,
        "removed": pipeline.removed,
    }


class StatisticsView(Record):
    """Of the newest five hundred jobs. Seconds; null where there is nothing to count. `success_rate` is of those that ended by
    themselves: a cancelled job says nothing about its pipeline."""

    jobs: int
    by_status: Mapping[str, int]
    success_rate: float | None
    duration_seconds_median: float | None
    duration_seconds_p95: float | None
    queued_seconds_median: float | None


class PipelineStatistics(Resource):
    """`/api/v1/pipelines/{pipeline}/stats`."""

    async def GET(self, request: Request) -> StatisticsView:
        """How a pipeline has been doing."""
        found = pipeline_statistics(await self.services.jobs.job_times(request.pipeline.name, STATISTICS_JOBS))
        return StatisticsView(
            jobs=found.jobs,
            by_status=found.by_status,
            success_rate=found.success_rate,
            duration_seconds_median=found.duration_seconds_median,
            duration_seconds_p95=found.duration_seconds_p95,
            queued_seconds_median=found.queued_seconds_median,
        )


class TriggerBody(Record):
    """`ref`: a branch, a tag or a commit; "" is the default branch."""

    ref: Annotated[str, rule(pattern=r"[^\x00-\x20]{0,255}")] = ""
    params: Mapping[str, str] = field(default_factory=dict)


class PipelineJobs(Resource):
    """`/api/v1/pipelines/{pipeline}/jobs`."""

    @answers(201, refuses=(409, 503))
    async def POST(self, request: Request, body: TriggerBody) -> JobSummary:
        """Start a job for the commit that `ref` names now."""
        name = request.pipeline.name
        definition = self.services.applied.state.pipelines.get(name)
        job = await start(
            self.services.engine,
            name,
            ref=body.ref,
            params=body.params,
            declared=definition.spec.params if definition is not None else {},
            actor=request.actor.name,
            job_id=request.reserved_id,
        )
        return job_summary(job)
