"""Pipelines: in a list with their last runs, one by one with rights and triggers, and their statistics."""

from collections.abc import Mapping
from itertools import starmap
from typing import Annotated, Any

from danube_pkg.core.configuration.pipelines import ParamSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.configuration.trigger_descriptions import describe_trigger
from danube_pkg.core.documents.marked import about
from danube_pkg.core.identity.access import Target
from danube_pkg.core.jobs.filters import RunSummary
from danube_pkg.core.jobs.statistics import Statistics
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso, iso_or_none
from danube_pkg.services.triggers.schedules import next_start


class RunView(Record):
    """A job in the row of a pipeline's last runs."""

    id: Annotated[str, about("The job's id.")]
    status: Annotated[Status, about("How the job is, or how it ended.")]
    branch: Annotated[str, about("Its branch; empty if it has none.")]
    created_at: Annotated[Time, about("When it was created.")]
    started_at: Annotated[Time | None, about("When it left the queue; null before that.")]
    finished_at: Annotated[Time | None, about("When it ended; null before that.")]


class PipelineSummary(Record):
    """What every view of a pipeline has."""

    name: Annotated[str, about("Its name, unique on this server.")]
    team: Annotated[str, about("The team that owns it; empty if none does.")]
    repository: Annotated[str, about("The URL of its repository.")]
    script: Annotated[str, about("The path of its danubefile in the repository.")]
    image: Annotated[str, about("The image of steps that name none; empty for the server's own programs.")]
    max_duration_seconds: Annotated[int, about("How long a job may take.")]
    workspace_size_gb: Annotated[int, about("How large a job's workspace may become.")]
    cron_schedule: Annotated[str | None, about("Its cron expression; null if it has none.")]
    removed: Annotated[bool, about("True if the configuration no longer has it. Its jobs are kept.")]


class PipelineView(PipelineSummary):
    """A pipeline in a list."""

    newest: Annotated[tuple[RunView, ...], about("Its last runs, newest first, as many as `runs` requests.")] = ()


class StartView(Record):
    """A trigger of a pipeline."""

    kind: Annotated[str, about("push, tag, pull_request, cron, manual or pipeline.")]
    words: Annotated[str, about("The trigger in words, with its filters.")]
    schedule: Annotated[str, about("The cron expression of a cron trigger; else empty.")]
    timezone: Annotated[str, about("The time zone of a cron trigger; else empty.")]
    next_at: Annotated[Time | None, about("When a cron trigger starts it next; null for other kinds.")]
    pipeline: Annotated[str, about("The pipeline whose end starts this one, for a pipeline trigger; else empty.")]


class ParamView(Record):
    """A parameter of a manual start."""

    name: Annotated[str, about("Its name.")]
    type: Annotated[str, about("text, number, boolean or choice.")]
    default: Annotated[str | None, about("The value if none is given; null if one must be given.")]
    choices: Annotated[tuple[str, ...], about("The values that are possible; empty if any is.")]
    description: Annotated[str, about("What it is for.")]


class PipelineDetail(PipelineSummary):
    """A pipeline with its rights, its triggers and its place in the configuration."""

    branch_filter: Annotated[tuple[str, ...], about("Patterns of branches that it is started for; empty for all.")]
    levels: Annotated[Mapping[str, str], about("Each team's permission level: read, write or admin.")]
    may: Annotated[tuple[str, ...], about("The actions that the caller may take on it.")]
    place: Annotated[str, about("File and line of its definition in the configuration repository.")]
    revision: Annotated[str, about("The applied revision of the configuration.")]
    place_url: Annotated[str, about("The definition's page at the forge; empty if it is not known.")]
    text: Annotated[str, about("The definition as it is written there.")]
    starts: Annotated[tuple[StartView, ...], about("Its triggers.")]
    params: Annotated[tuple[ParamView, ...], about("The parameters of a manual start.")]
    badge: Annotated[bool, about("Whether its badge can be seen without a login.")]


class PipelinePage(Record):
    """A page of pipelines."""

    pipelines: Annotated[tuple[PipelineView, ...], about("In the order of their names.")]
    cursor: Annotated[str | None, about("The `cursor` of the next page; null on the last.")]


class StatisticsView(Record):
    """Figures of a pipeline's newest 500 jobs."""

    jobs: Annotated[int, about("How many jobs were counted.")]
    by_status: Annotated[Mapping[str, int], about("How many jobs have each status.")]
    success_rate: Annotated[
        float | None,
        about("Share of successes, 0 to 1, among the jobs that ended without being cancelled; null if there is none."),
    ]
    duration_seconds_median: Annotated[float | None, about("Median time from start to end; null if there is none.")]
    duration_seconds_p95: Annotated[float | None, about("95th percentile of that time; null if there is none.")]
    queued_seconds_median: Annotated[float | None, about("Median time in the queue; null if there is none.")]


def pipeline_view(pipeline: Pipeline, newest: tuple[RunSummary, ...]) -> PipelineView:
    """The pipeline with its last runs."""
    return PipelineView(**_summary_fields(pipeline), newest=tuple(map(_run_view, newest)))


def pipeline_detail(
    pipeline: Pipeline,
    definition: PipelineDefinition | None,
    target: Target,
    *,
    may: tuple[str, ...],
    revision: str,
    place_url: str,
    now: float,
) -> PipelineDetail:
    """definition: None for a removed pipeline. target: who owns it and which levels teams have. now: Unix seconds."""
    owner = {target.owner: "admin"} if target.owner else {}
    return PipelineDetail(
        **_summary_fields(pipeline),
        branch_filter=pipeline.branch_filter,
        levels={**{team: str(level) for team, level in sorted(target.levels.items())}, **owner},
        may=may,
        place=str(definition.place) if definition is not None else "",
        revision=revision,
        place_url=place_url,
        text=definition.text if definition is not None else "",
        starts=tuple(_start_view(definition, one, now) for one in definition.spec.triggers)
        if definition is not None
        else (),
        params=tuple(starmap(_param_view, definition.spec.params.items())) if definition is not None else (),
        badge=definition is not None and definition.spec.badge,
    )


def _summary_fields(pipeline: Pipeline) -> dict[str, Any]:
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


def _run_view(run: RunSummary) -> RunView:
    return RunView(
        run.id, run.status, run.branch, iso(run.created_at), iso_or_none(run.started_at), iso_or_none(run.finished_at)
    )


def _start_view(definition: PipelineDefinition, trigger: TriggerSpec, now: float) -> StartView:
    next_at = next_start(definition.name, trigger, now) if trigger.kind is TriggerKind.CRON else None
    return StartView(
        kind=trigger.kind,
        words=describe_trigger(trigger, definition.spec),
        schedule=trigger.schedule,
        timezone=trigger.timezone,
        next_at=iso_or_none(next_at),
        pipeline=trigger.pipeline,
    )


def _param_view(name: str, param: ParamSpec) -> ParamView:
    return ParamView(name, param.type, param.default, param.choices, param.description)


def statistics_view(found: Statistics) -> StatisticsView:
    """The figures as they are."""
    return StatisticsView(
        jobs=found.jobs,
        by_status=found.by_status,
        success_rate=found.success_rate,
        duration_seconds_median=found.duration_seconds_median,
        duration_seconds_p95=found.duration_seconds_p95,
        queued_seconds_median=found.queued_seconds_median,
    )
