"""`danube validate`: the server's checks, before a commit or in a pipeline; --plan: ask a server what would change."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import one_line, print_json, say
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.configuration.egress_notes import services_without_files
from danube_pkg.core.configuration.level_notes import admin_levels_without_admins
from danube_pkg.core.configuration.planned import planned_settings
from danube_pkg.core.danubefile import Outline
from danube_pkg.core.errors import Invalid
from danube_pkg.ops.validate import Validation, planned_files, validate


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="DIR", nargs="?", default=".", help="a configuration, a repository, or a danubefile (.)"
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the configuration, for editors")
    parser.add_argument("--plan", action="store_true", help="ask the server what this configuration would change")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    if options.schema:
        from danube_pkg.core.configuration.json_schema import json_schema  # only --schema needs it

        print_json(json_schema())
        return 0
    path = Path(options.path)
    found = validate(path)
    plan: dict[str, Any] | None = None
    if options.plan and not found.findings:
        if found.state is None:
            raise Invalid("plan-invalid", f"{path} is not a configuration", hint="danube validate DIR --plan")
        plan = ApiClient(options).post("/api/v1/config/plan", {"files": planned_files(path)})
    if options.json:
        print_json({"ok": not found.findings, **_as_json(found), **({"plan": plan} if plan is not None else {})})
    else:
        _print(found, plan)
    return 1 if found.findings or (plan is not None and not plan["ok"]) else 0


def _as_json(found: Validation) -> dict[str, Any]:
    return {
        "findings": [{"place": str(one.place or ""), "what": one.what, "hint": one.hint} for one in found.findings],
        "pipelines": sorted(found.state.pipelines) if found.state is not None else [],
        "danubefiles": {path: _outline_view(one) for path, one in found.outlines.items()},
    }


def _outline_view(outline: Outline) -> dict[str, Any]:
    return {
        "name": outline.name,
        "steps": [{"name": one.name, "image": one.image, "line": one.line} for one in outline.steps],
        "images": list(outline.images),
        "secrets": [one.name for one in outline.secrets],
        "artifacts": [one.name for one in outline.artifacts],
        "warnings": [{"place": str(one.place or ""), "what": one.what, "hint": one.hint} for one in outline.warnings],
    }


def _print(found: Validation, plan: dict[str, Any] | None) -> None:
    for one in found.findings:
        hint = f"  ({one.hint})" if one.hint else ""
        say(f"{one}{hint}")
    if found.findings:
        return
    if found.state is not None:
        state = found.state
        counted = {"user": state.users, "team": state.teams, "pipeline": state.pipelines}
        counts = ", ".join(f"{len(found)} {word}{'' if len(found) == 1 else 's'}" for word, found in counted.items())
        say(f"configuration OK: {counts}")
        for setting in planned_settings(state):
            say(f"  note: {setting}")
        for sentence in (*admin_levels_without_admins(state), *services_without_files(state)):
            say(f"  note: {sentence}")
    for path, outline in found.outlines.items():
        say(f"{path} OK: {outline.name}")
        for warning in outline.warnings:
            say(f"{warning.place}: warning: {warning.what}  ({warning.hint})")
        _print_names("steps", [one.name for one in outline.steps])
        _print_names("images", outline.images)
        _print_names("secrets", [one.name for one in outline.secrets])
        _print_names("environments", [one.name for one in outline.environments or ()])
    if plan is not None:
        print_plan(plan)


def _print_names(what: str, names: Sequence[str]) -> None:
    if names:
        say(f"  {what}: {', '.join(one_line(name) for name in dict.fromkeys(names))}")


def print_plan(plan: dict[str, Any]) -> None:
    """What the server would change, and whose access."""
    for one in plan["findings"]:
        hint = f"  ({one['hint']})" if one["hint"] else ""
        say(f"{one['place']}: {one['what']}{hint}")
    if not plan["ok"]:
        return
    if not plan["changes"]:
        say("no changes")
    for change in plan["changes"]:
        for line in change["lines"]:
            say(one_line(line))
    for grant in plan["grants"]:
        before, after = grant["before"] or "nothing", grant["after"] or "nothing"
        verb = "gains" if _gains(grant) else "loses"
        say(f"{one_line(grant['email'])} {verb} access to {grant['pipeline']}: {before} → {after}")
    for name in plan["secrets"]:
        say(f"the secret {one_line(name)} is new: danube secrets set {one_line(name)}")


def _gains(grant: dict[str, Any]) -> bool:
    order = (None, "read", "write", "admin")
    return order.index(grant["after"]) > order.index(grant["before"])
