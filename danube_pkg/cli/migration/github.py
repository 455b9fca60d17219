"""Workflows of GitHub Actions (https://docs.github.com/actions/reference/workflow-syntax-for-github-actions)."""

import json
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.migration.documents import items, mapping
from danube_pkg.cli.migration.expressions import condition, variable, with_variables
from danube_pkg.cli.migration.model import UNKNOWN_CONDITION, ForeignJob, ForeignStep, Migration, combinations

SHELLS = {"bash": "bash -eo pipefail", "sh": "", "python": "python3"}
"""`shell:` of a step; without one GitHub runs `bash -e`."""

TOOLCHAINS = {
    "actions/setup-python": ("python-version", "python"),
    "actions/setup-node": ("node-version", "node"),
    "actions/setup-go": ("go-version", "golang"),
    "actions/setup-java": ("java-version", "eclipse-temurin"),
    "dtolnay/rust-toolchain": ("toolchain", "rust"),
}
"""Actions that install a toolchain: the version's input, and the image that has it."""

NOTHING_TO_DO = ("actions/checkout", "actions/download-artifact")
"""The repository is in the workspace, which all steps share."""


def from_github(document: Mapping[str, Any]) -> Migration:
    """document: the workflow, with texts as scalars."""
    found = Migration(str(document.get("name") or "Build"))
    _triggers(document.get("on"), found)
    found.env = _env(document.get("env"), found)
    jobs = mapping(document.get("jobs"))
    for name in _in_order(jobs):
        found.jobs.append(_job(name, mapping(jobs[name]), found))
    for key in ("permissions", "concurrency", "defaults"):
        if key in document:
            found.lose(f"{key}: see docs/configuration.md for what a pipeline's YAML has")
    return found


def _triggers(on: Any, found: Migration) -> None:
    events = {on: None} if isinstance(on, str) else dict.fromkeys(on) if isinstance(on, list) else mapping(on)
    for event, filters in events.items():
        if event == "schedule":
            schedules = [str(mapping(one).get("cron", "")) for one in filters or ()]
            found.lose(
                f"on: schedule: in the YAML triggers: [{{on: cron, schedule: {json.dumps(' '.join(schedules))}}}]"
            )
        elif event == "workflow_dispatch" and mapping(filters).get("inputs"):
            found.lose(f"inputs {', '.join(mapping(mapping(filters)['inputs']))}: in the YAML params:, here ctx.params")
        elif event in ("push", "pull_request") and filters:
            keys = ", ".join(mapping(filters))
            found.lose(f"{keys} of on: {event}: in the YAML branch_filter:, tag triggers, paths: and paths_ignore:")
        elif event not in ("push", "pull_request", "workflow_dispatch"):
            found.lose(f"on: {event}")


def _in_order(jobs: Mapping[str, Any]) -> list[str]:
    """Each job behind those that it needs."""
    ordered: list[str] = []
    left = list(jobs)
    while left:
        ready = [name for name in left if not set(items(mapping(jobs[name]).get("needs"))) & set(left)]
        ordered += ready or left
        left = [name for name in left if name not in ordered]
    return ordered


def _job(name: str, job: Mapping[str, Any], found: Migration) -> ForeignJob:
    if "uses" in job:
        found.lose(f"job {name}: uses: {job['uses']}")
    if "ubuntu" not in str(job.get("runs-on", "ubuntu")) and "linux" not in str(job.get("runs-on")):
        found.lose(f"job {name}: runs-on: {job.get('runs-on')}: jobs run on this machine's Linux")
    for key in ("services", "permissions", "environment", "outputs", "concurrency"):
        if key in job:
            hint = ": step.service(…) with the command that starts it" if key == "services" else ""
            found.lose(f"job {name}: {key}{hint}")
    container = job.get("container")
    image = str(container if isinstance(container, str) else mapping(container).get("image", ""))
    legs = _legs(name, mapping(mapping(job.get("strategy")).get("matrix")), found)
    shared = _env(job.get("env"), found)
    made = []
    chosen = json.dumps(image) if image else ""
    for step in map(mapping, items(job.get("steps"))):
        action = str(step.get("uses", "")).partition("@")[0]
        if action in TOOLCHAINS and not image:
            chosen = _toolchain(step, action, found) or chosen
        elif action == "actions/upload-artifact":
            options = mapping(step.get("with"))
            kept = (str(options.get("path", "")).strip().splitlines() or [""])[0], str(options.get("name", "artifact"))
            made.append(ForeignStep("", artifact=kept, condition=_condition(f"job {name}", step, found)))
        elif action and action not in NOTHING_TO_DO:
            found.lose(f"job {name}: uses: {step['uses']}: write its commands as steps")
        elif "run" in step:
            made.append(_step(name, step, shared, chosen, found))
    return ForeignJob(str(job.get("name") or name), tuple(made), tuple(legs), _condition(f"job {name}", job, found))


def _step(job: str, step: Mapping[str, Any], shared: Mapping[str, str], image: str, found: Migration) -> ForeignStep:
    secrets: set[str] = set()
    command = with_variables(str(step["run"]), secrets, lambda one: found.lose(f"job {job}: the expression {one}"))
    env = {**shared, **_env(step.get("env"), found)}
    env |= {one: f"secrets.get({json.dumps(one)})" for one in sorted(secrets) if one not in env}
    lines = [line for line in command.strip().splitlines() if line.strip()] or ["true"]
    shell = str(step.get("shell", ""))
    if "GITHUB_OUTPUT" in command or "GITHUB_ENV" in command:
        found.lose(f"job {job}: GITHUB_OUTPUT and GITHUB_ENV: use step.run(…).output, and env=")
    minutes = str(step.get("timeout-minutes", ""))
    return ForeignStep(
        name=str(step.get("name") or lines[0][:60]),
        command="\n".join(command.strip("\n").splitlines()) or "true",
        env=env,
        image=image,
        shell=SHELLS.get(shell, shell) or ("bash -e" if len(lines) > 1 and not shell else ""),
        directory=str(step.get("working-directory", "")),
        timeout_seconds=int(minutes) * 60 if minutes.isdecimal() else 0,
        checked=str(step.get("continue-on-error", "false")) != "true",
        condition=_condition(f"job {job}", step, found),
    )


def _toolchain(step: Mapping[str, Any], action: str, found: Migration) -> str:
    key, image = TOOLCHAINS[action]
    version = str(mapping(step.get("with")).get(key, ""))
    if version.startswith("${{") and "matrix." in version:
        axis = variable(version.removeprefix("${{").removesuffix("}}").strip().removeprefix("matrix."))
        return f'f"{image}:{{leg[{axis!r}]}}"'
    if not version or "$" in version:
        found.lose(f"uses: {step['uses']}: name an image with that version: image={image}:VERSION")
        return ""
    return json.dumps(f"{image}:{version.removesuffix('.x')}")


def _legs(name: str, matrix: Mapping[str, Any], found: Migration) -> list[dict[str, str]]:
    axes = {variable(key): [str(one) for one in value] for key, value in matrix.items() if _is_axis(key, value)}
    legs = combinations(axes)
    for left_out in (_variables(one) for one in items(matrix.get("exclude"))):
        legs = [leg for leg in legs if not left_out.items() <= leg.items()]
    for more in (_variables(one) for one in items(matrix.get("include"))):
        same = [leg for leg in legs if all(leg.get(key, value) == value for key, value in more.items() if key in axes)]
        if axes.keys() & more.keys() and same:
            legs = [{**leg, **more} if leg in same else leg for leg in legs]
        else:
            legs.append(more)
    if any(not _is_axis(key, value) for key, value in matrix.items() if key not in ("include", "exclude")):
        found.lose(f"job {name}: a part of its matrix that is computed")
    if legs:
        found.lose(f"job {name}: its matrix runs leg by leg in one workspace; step.parallel() runs them together")
    keys = {key for leg in legs for key in leg}
    return [{key: leg.get(key, "") for key in sorted(keys)} for leg in legs]


def _is_axis(key: str, value: Any) -> bool:
    return key not in ("include", "exclude") and isinstance(value, list) and all(isinstance(one, str) for one in value)


def _variables(one: Any) -> dict[str, str]:
    return {variable(key): str(value) for key, value in mapping(one).items()}


def _condition(what: str, holder: Mapping[str, Any], found: Migration) -> str:
    if "if" not in holder:
        return ""
    text = str(holder["if"])
    made = condition(text)
    if made is None:
        found.lose(f"{what}: if: {text}: what depends on it does not run; write it as a Python condition")
    return UNKNOWN_CONDITION if made is None else made


def _env(env: Any, found: Migration) -> dict[str, str]:
    """Names and Python expressions."""
    made = {}
    for name, value in mapping(env).items():
        secrets: set[str] = set()
        text = with_variables(str(value), secrets, lambda one: found.lose(f"the expression {one} in env"))
        if secrets and str(value).strip().startswith("${{") and len(secrets) == 1:
            made[name] = f"secrets.get({json.dumps(next(iter(secrets)))})"
        elif "$" in text:
            found.lose(f"env: {name}: {value}: variables are not expanded in env=")
        else:
            made[name] = json.dumps(text, ensure_ascii=False)
    return made
