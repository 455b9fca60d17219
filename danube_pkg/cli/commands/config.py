"""`danube config`: the applied configuration and what is wrong with what was pushed last; or read the repository
now."""

import argparse
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, one_line, say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, act, text in (
        ("status", _status, "show the applied revision, and what is wrong with the newest one"),
        ("sync", _sync, "read the configuration repository now"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(act=act)
        add_server_arguments(command)


def main(options: argparse.Namespace) -> int:
    view: dict[str, Any] = options.act(options)
    show(view, options, _print)
    return 0 if view["ok"] else 1


def _status(options: argparse.Namespace) -> Any:
    return ApiClient(options).get("/api/v1/config")


def _sync(options: argparse.Namespace) -> Any:
    return ApiClient(options).post("/api/v1/config/sync")


def _print(view: dict[str, Any]) -> None:
    branch = f" (branch {one_line(view['branch'])})" if view["branch"] else ""
    say(f"repository  {one_line(view['repository'])}{branch}")
    applied = (
        f"{view['applied_revision']}, {ago(view['applied_at'])} ago" if view["applied_revision"] else "nothing yet"
    )
    say(f"applied     {applied}")
    if view["seen_revision"] not in ("", view["applied_revision"]):
        say(f"newest      {view['seen_revision']}, not applied")
    if view["checked_at"]:
        say(f"read        {ago(view['checked_at'])} ago")
    if view["problem"]:
        _print_finding("problem     ", view["problem"])
    for one in view["findings"]:
        _print_finding("", {**one, "what": f"{one['place']}: {one['what']}"})
    for one in view["conditions"]:
        _print_finding("condition   ", one)


def _print_finding(head: str, one: dict[str, Any]) -> None:
    say(f"{head}{one_line(one['what'])}")
    if one["hint"]:
        say(f"  hint: {one_line(one['hint'])}")
