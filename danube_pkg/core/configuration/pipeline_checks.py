"""Checks of fields of a pipeline that depend on each other, and of pipelines that start each other."""

import graphlib
import re
from collections.abc import Sequence

from danube_pkg.core.configuration.declared import DeclaredNames
from danube_pkg.core.configuration.environment_checks import check_environments
from danube_pkg.core.configuration.filter_checks import check_filters
from danube_pkg.core.configuration.kinds import ConfigurationFiles, TypedDocument
from danube_pkg.core.configuration.pipelines import ParamSpec, ParamType, PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.documents.marked import Findings, nearest
from danube_pkg.core.repositories.urls import has_password, is_malformed, is_remote
from danube_pkg.core.schedules import cron

GROUP_WORDS = ("branch", "ref", "pull_request")
"""The names that `${…}` in a concurrency group may contain."""

_PARAM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ONLY_WITH = {
    "schedule": TriggerKind.CRON,
    "timezone": TriggerKind.CRON,
    "labels": TriggerKind.PULL_REQUEST,
    "skip_drafts": TriggerKind.PULL_REQUEST,
    "jitter_seconds": TriggerKind.CRON,
    "pipeline": TriggerKind.PIPELINE,
}


def check_pipeline(
    one: TypedDocument, spec: PipelineSpec, files: ConfigurationFiles, names: DeclaredNames, findings: Findings
) -> None:
    """Check one pipeline. names: those of all documents, to which `on: pipeline` may refer."""
    _check_repository(one, spec, files.base, findings)
    for index, trigger in enumerate(spec.triggers):
        _check_trigger(one, f"spec.triggers[{index}]", trigger, files.timezones, names, findings)
    for name, param in spec.params.items():
        _check_param(one, name, param, findings)
    _check_env(one, spec, findings)
    _check_group(one, spec, findings)
    check_filters(one.document, spec, findings)
    check_environments(one, spec.environments, names, findings)


def _check_env(one: TypedDocument, spec: PipelineSpec, findings: Findings) -> None:
    for name in spec.env:
        if not _VARIABLE.fullmatch(name):
            what = f"spec.env: {name[:60]!r} cannot be the name of an environment variable"
            findings.add(one.document.place(f"spec.env.{name}"), what, hint="letters, digits and _, no digit first")


def _check_repository(one: TypedDocument, spec: PipelineSpec, base: str, findings: Findings) -> None:
    place = one.document.place("spec.repository")
    if not base and not is_remote(spec.repository) and not spec.repository.startswith(("/", "file:///")):
        findings.add(
            place,
            "spec.repository is a relative directory, but the configuration is not on this machine",
            hint="write the repository's URL",
        )
    if is_malformed(spec.repository):
        what = "spec.repository is not a valid URL: its host or port cannot be read"
        findings.add(place, what, hint="for example: https://git.example.org/team/app")
    if has_password(spec.repository):
        findings.add(
            place,
            "spec.repository contains credentials",
            hint="remove and revoke them (readers of this file have seen them), and name a secret in git_authentication",
        )


def _check_trigger(
    one: TypedDocument,
    path: str,
    trigger: TriggerSpec,
    timezones: frozenset[str],
    names: DeclaredNames,
    findings: Findings,
) -> None:
    for field, kind in _ONLY_WITH.items():
        if getattr(trigger, field) and trigger.kind is not kind:
            place = one.document.place(f"{path}.{field}")
            findings.add(place, f"{path}.{field} belongs to on: {kind}, not to on: {trigger.kind}", hint="remove it")
    if trigger.kind is TriggerKind.CRON:
        problem = cron.problem_with(trigger.schedule) if trigger.schedule else "on: cron needs a schedule"
        if problem:
            place = one.document.place(f"{path}.schedule")
            findings.add(place, f"{path}: {problem}", hint='for example: schedule: "0 3 * * *" (every day at three)')
        elif not cron.matches_each_year(trigger.schedule):
            findings.add(
                one.document.place(f"{path}.schedule"),
                f"{path}: {trigger.schedule!r} matches no day of most years",
                hint="for the last day of February: start on 1 March and let the danubefile check the date",
            )
        if trigger.timezone and timezones and trigger.timezone not in timezones:
            place = one.document.place(f"{path}.timezone")
            what = f"{path}.timezone: there is no time zone {trigger.timezone!r}"
            findings.add(place, what, hint=_near_zone(trigger.timezone, timezones))
    if trigger.kind is TriggerKind.PIPELINE:
        _check_start(one, path, trigger.pipeline, names, findings)


def _check_start(one: TypedDocument, path: str, pipeline: str, names: DeclaredNames, findings: Findings) -> None:
    """Whether the pipeline whose end is a trigger exists."""
    place = one.document.place(f"{path}.pipeline")
    if not pipeline:
        what = f"{path}: on: pipeline needs the pipeline whose end starts this one"
        findings.add(place, what, hint="add: pipeline: …")
    elif names.is_whole and pipeline not in names.pipelines:
        known = sorted(names.pipelines)
        findings.add(place, f"{path}: there is no pipeline {pipeline!r}", hint=nearest(pipeline, known))


def _near_zone(name: str, timezones: frozenset[str]) -> str:
    """A hint with the nearest name; there are too many to list them all."""
    hint = nearest(name, sorted(timezones))
    return hint if hint.startswith("did") else "for example: Europe/Vienna"


def _check_param(one: TypedDocument, name: str, param: ParamSpec, findings: Findings) -> None:
    path = f"spec.params.{name}"
    place = one.document.place(path)
    if not _PARAM_NAME.fullmatch(name):
        what = f"{path}: a parameter's name may contain letters, digits and '_' and must not begin with a digit"
        findings.add(place, what, hint="for example: deploy_target")
    if (param.type is ParamType.CHOICE) != bool(param.choices):
        what = (
            "type: choice needs choices" if not param.choices else f"choices belong to type: choice, not {param.type}"
        )
        findings.add(place, f"{path}: {what}", hint="for example: {type: choice, choices: [staging, production]}")
    if param.default is None:
        return
    wrong = {
        ParamType.TEXT: False,
        ParamType.NUMBER: not _NUMBER.fullmatch(param.default),
        ParamType.BOOLEAN: param.default not in ("true", "false"),
        ParamType.CHOICE: bool(param.choices) and param.default not in param.choices,
    }[param.type]
    if wrong:
        expected = ", ".join(param.choices) or {"boolean": "true or false", "number": "a number"}.get(param.type, "")
        place = one.document.place(f"{path}.default")
        findings.add(place, f"{path}.default is {param.default!r}; it must be {expected}", hint="write it in quotes")


def _check_group(one: TypedDocument, spec: PipelineSpec, findings: Findings) -> None:
    group = spec.concurrency.group if spec.concurrency is not None else ""
    for word in re.findall(r"\$\{([^}]*)\}?", group):
        if word not in GROUP_WORDS:
            place = one.document.place("spec.concurrency.group")
            what = f"spec.concurrency.group: unknown variable ${{{word}}}"
            findings.add(place, what, hint=nearest(word, GROUP_WORDS))


def check_cycles(documents: Sequence[TypedDocument], findings: Findings) -> None:
    """Refuse pipelines that would start each other endlessly."""
    known = {one.metadata.name: one for one in documents if isinstance(one.spec, PipelineSpec)}
    after = {name: [each.pipeline for _, each in _starters(one)] for name, one in known.items()}
    try:
        graphlib.TopologicalSorter(after).prepare()
    except graphlib.CycleError as error:
        cycle: list[str] = error.args[1]
        starter, started = cycle[0], cycle[1]
        one = known[started]
        at = next(at for at, each in _starters(one) if each.pipeline == starter)
        findings.add(
            one.document.place(f"spec.triggers[{at}]"),
            f"pipelines would start each other endlessly: {', then '.join(cycle)}",
            hint="remove one of these triggers",
        )


def _starters(one: TypedDocument) -> list[tuple[int, TriggerSpec]]:
    triggers = one.spec.triggers if isinstance(one.spec, PipelineSpec) else ()
    return [(at, each) for at, each in enumerate(triggers) if each.kind is TriggerKind.PIPELINE]
