"""Pipelines whose jobs are lists of commands: GitLab CI (https://docs.gitlab.com/ci/yaml/) and Woodpecker
(https://woodpecker-ci.org/docs/usage)."""

import json
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.migration.documents import items, mapping
from danube_pkg.cli.migration.expressions import condition, variable
from danube_pkg.cli.migration.model import UNKNOWN_CONDITION, ForeignJob, ForeignStep, Migration, combinations

_GLOBAL = frozenset(
    {
        "image",
        "stages",
        "variables",
        "before_script",
        "after_script",
        "default",
        "include",
        "workflow",
        "cache",
        "services",
    }
)
_STAGES = (".pre", "build", "test", "deploy", ".post")
_LOST = ("cache", "services", "environment", "extends", "dependencies", "trigger", "release", "coverage", "secrets")


def from_gitlab(document: Mapping[str, Any]) -> Migration:
    """document: the file, with texts as scalars."""
    found = Migration("Build", env=_texts(document.get("variables"), "variables", Migration("")))
    default = {**mapping(document.get("default")), **{key: document[key] for key in _GLOBAL if key in document}}
    for key in ("include", "workflow"):
        if key in document:
            found.lose(f"{key}: write what it brings into this danubefile, or import a module")
    names = [name for name, job in document.items() if _is_job(name, job)]
    stages = [str(one) for one in items(document.get("stages"))] or list(_STAGES)
    rank = {stage: number for number, stage in enumerate(stages)}
    for name in sorted(names, key=lambda one: rank.get(str(mapping(document[one]).get("stage", "test")), 0)):
        found.jobs.append(_gitlab_job(name, mapping(document[name]), default, found))
    return found


def _is_job(name: str, job: Any) -> bool:
    return name not in _GLOBAL and not name.startswith(".") and isinstance(job, dict)


def _gitlab_job(name: str, job: Mapping[str, Any], default: Mapping[str, Any], found: Migration) -> ForeignJob:
    for key in _LOST:
        if key in job:
            found.lose(f"job {name}: {key}")
    for key in ("cache", "services"):
        if key in default:
            found.lose(f"{key} of all jobs")
    lines = [*_commands(job.get("before_script", default.get("before_script"))), *_commands(job.get("script"))]
    image = job.get("image", default.get("image", ""))
    image = str(mapping(image).get("name", "") if isinstance(image, dict) else image)
    if "$" in image:
        found.lose(f"job {name}: image: {image}")
        image = ""
    env = _texts(job.get("variables"), f"job {name}: variables", found)
    retries = str(
        mapping(job.get("retry")).get("max", "0") if isinstance(job.get("retry"), dict) else job.get("retry", "0")
    )
    step = ForeignStep(
        name=name,
        command="\n".join(lines) or "true",
        env=env,
        image=json.dumps(image) if image else "",
        retries=int(retries) if retries.isdecimal() else 0,
        checked=str(job.get("allow_failure", "false")) != "true",
    )
    after = _commands(job.get("after_script", default.get("after_script")))
    if after:
        found.lose(f"job {name}: after_script: {'; '.join(after)}: try: … finally:")
    paths = [str(one) for one in items(mapping(job.get("artifacts")).get("paths"))]
    kept = [ForeignStep("", artifact=(path, variable(f"{name}-{path}").lower().strip("_"))) for path in paths]
    axes = items(mapping(job.get("parallel")).get("matrix"))
    legs = [
        leg
        for one in axes
        for leg in combinations({key: list(map(str, items(value))) for key, value in mapping(one).items()})
    ]
    return ForeignJob(name, (step, *kept), tuple(legs), _rules(name, job, found))


def _rules(name: str, job: Mapping[str, Any], found: Migration) -> str:
    """The condition of `rules:` with one `if`, or of `only:` with branches."""
    if "only" in job:
        branches = [str(one) for one in items(job["only"]) if isinstance(one, str)]
        if branches == ["tags"]:
            return "ctx.tag"
        if branches and all(one not in ("branches", "merge_requests", "web") and "/" not in one for one in branches):
            return f"ctx.branch in {json.dumps(branches)}"
    rules = [mapping(one) for one in items(job.get("rules"))]
    if len(rules) == 1 and set(rules[0]) == {"if"} and (made := condition(str(rules[0]["if"]))) is not None:
        return made
    unknown = [key for key in ("rules", "only", "except", "when") if key in job]
    if unknown:
        found.lose(f"job {name}: {', '.join(unknown)}: it does not run; write its condition in Python")
    return UNKNOWN_CONDITION if unknown else ""


def from_woodpecker(document: Mapping[str, Any]) -> Migration:
    """document: the file, with texts as scalars."""
    found = Migration("Build")
    for key in ("services", "depends_on", "labels", "clone", "when"):
        if key in document:
            hint = ": step.service(…) with the command that starts it" if key == "services" else ""
            found.lose(f"{key}{hint}")
    steps = document.get("steps", document.get("pipeline"))
    named = [(str(one.get("name", "step")), one) for one in map(mapping, items(steps))]
    if isinstance(steps, dict):
        named = [(name, mapping(one)) for name, one in steps.items()]
    matrix = mapping(document.get("matrix"))
    legs = [{key: str(value) for key, value in mapping(one).items()} for one in items(matrix.get("include"))]
    legs = legs or combinations({key: list(map(str, items(value))) for key, value in matrix.items()})
    found.jobs.append(ForeignJob("Build", tuple(_woodpecker(name, one, found) for name, one in named), tuple(legs)))
    return found


def _woodpecker(name: str, step: Mapping[str, Any], found: Migration) -> ForeignStep:
    env = {}
    for key, value in mapping(step.get("environment")).items():
        secret = mapping(value).get("from_secret")
        env[key] = f"secrets.get({json.dumps(str(secret))})" if secret else json.dumps(str(value))
    for key in ("settings", "volumes", "privileged", "detach", "depends_on"):
        if key in step:
            found.lose(f"step {name}: {key}")
    image = str(step.get("image", ""))
    if "$" in image:
        found.lose(f"step {name}: image: {image}")
    commands = _commands(step.get("commands"))
    if not commands:
        found.lose(f"step {name}: the plugin {image}: write its commands")
    when = step.get("when")
    branch = mapping(items(when)[0] if when else {}).get("branch")
    made = (
        f"ctx.branch == {json.dumps(branch)}"
        if isinstance(branch, str) and set(mapping(items(when)[0])) == {"branch"}
        else ""
    )
    if when and not made:
        found.lose(f"step {name}: when: it does not run; write its condition in Python")
    return ForeignStep(
        name=name,
        command="\n".join(commands) or "echo 'write the commands of this plugin'; exit 1",
        env=env,
        image=json.dumps(image) if image and "$" not in image else "",
        checked=str(step.get("failure", "")) != "ignore",
        condition=made or (UNKNOWN_CONDITION if when else ""),
    )


def _commands(value: Any) -> list[str]:
    return [line for one in items(value) for line in (_commands(one) if isinstance(one, list) else [str(one)])]


def _texts(value: Any, what: str, found: Migration) -> dict[str, str]:
    """Names and Python expressions; values that use other variables are not expanded, and are lost."""
    made = {}
    for name, one in mapping(value).items():
        text = str(mapping(one).get("value", "") if isinstance(one, dict) else one)
        if "$" in text:
            found.lose(f"{what}: {name}: {text}: variables are not expanded in env=")
        else:
            made[name] = json.dumps(text, ensure_ascii=False)
    return made
