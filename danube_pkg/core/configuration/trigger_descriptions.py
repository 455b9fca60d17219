"""Triggers of a pipeline described in words, for its page."""

from collections.abc import Mapping, Sequence

from danube_pkg.core.configuration.pipelines import PipelineEnd, PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.schedules.descriptions import describe_cron

_ENDS: Mapping[PipelineEnd, str] = {
    PipelineEnd.SUCCESS: "success",
    PipelineEnd.FAILURE: "failure",
    PipelineEnd.ALWAYS: "end",
}


def describe_trigger(trigger: TriggerSpec, spec: PipelineSpec) -> str:
    """The description of a trigger: "A push to main or release/* that touches src/**"."""
    match trigger.kind:
        case TriggerKind.PUSH:
            return f"A push to {_either(spec.branch_filter) or 'any branch'}{_files(spec)}"
        case TriggerKind.PULL_REQUEST:
            branches = _either(spec.branch_filter)
            request = "A pull request that is not a draft" if trigger.skip_drafts else "A pull request"
            labels = f" with the label {_either(trigger.labels)}" if trigger.labels else ""
            return f"{request}{labels}{f' to {branches}' if branches else ''}{_files(spec)}"
        case TriggerKind.TAG:
            return "A tag"
        case TriggerKind.CRON:
            later = f", delayed by up to {trigger.jitter_seconds} s" if trigger.jitter_seconds else ""
            words = describe_cron(trigger.schedule)
            return f"{words[0].upper()}{words[1:]} ({trigger.timezone or 'UTC'}){later}"
        case TriggerKind.PIPELINE:
            return f"The {_ENDS[trigger.result]} of {trigger.pipeline}"
    return "A manual start"


def _files(spec: PipelineSpec) -> str:
    touches = f" that touches {_either(spec.paths)}" if spec.paths else ""
    ignored = f"{' and' if touches else ' that touches'} more than {_either(spec.paths_ignore)}"
    return f"{touches}{ignored if spec.paths_ignore else ''}"


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
