"""`danube install`: make this Danube a service of the machine. It may be repeated: what holds already is left as it is,
and an interrupted installation continues."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from danube_pkg.bootstrap.runtime import sandbox_settings
from danube_pkg.cli import starters
from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.installation import StepProgress, confirm, print_findings, this_machine
from danube_pkg.cli.output import print_json, say
from danube_pkg.cli.servers import local
from danube_pkg.core.configuration.settings import RuntimeSettings
from danube_pkg.core.errors import Permanent
from danube_pkg.install.execution import carry_out
from danube_pkg.install.facts import existing_parent, program_file, read_facts
from danube_pkg.install.journal import InstallOptions, Journal, Step
from danube_pkg.install.plan import ProgramFile, checked_options, plan_installation
from danube_pkg.install.ports import Machine
from danube_pkg.install.preflight import check_machine, program_differs
from danube_pkg.install.units import PROGRAM
from danube_pkg.kit.records import replace, to_builtins
from danube_pkg.ops.doctor import CheckResult, diagnose

_ABOUT_DATA = ("pod disks", "data directory")
"""The doctor's checks of a data directory, which an installation has not made yet."""


def arguments(parser: argparse.ArgumentParser) -> None:
    default = InstallOptions()
    parser.add_argument("--runtime", choices=("sandbox",), default="sandbox", help="what makes pods (sandbox)")
    parser.add_argument("--data", metavar="DIR", help=f"the data directory ({default.data})")
    parser.add_argument(
        "--user",
        metavar="NAME",
        help="the server's user, made if missing (root: only then has each pod limits and ids of its own)",
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help=f"the address ({default.listen})")
    parser.add_argument(
        "--config-repo", metavar="URL", help="the configuration repository (a starter in /etc/danube/config)"
    )
    parser.add_argument(
        "--host-images",
        choices=("allow", "refuse"),
        help="may jobs use this machine's own programs, the image host? (asks; refuse)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the checks and the plan, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    machine = this_machine(options)
    journal = Journal(machine.files) if os.geteuid() == 0 else None
    known = journal.content if journal is not None else None
    chosen = checked_options(_options(options, known.options if known is not None else None))
    # The stub of a frozen program names itself; Python runs another file then.
    program = program_file(os.environ.get("DANUBE_PROGRAM") or sys.argv[0])
    findings = _preflight(chosen, program, machine, journal)
    plan = plan_installation(chosen, program, starters.configuration())
    if not options.json:
        print_findings(findings)
        _print_plan(plan, machine)
    is_ready = all(one.ok for one in findings)
    if options.dry_run:
        if options.json:
            print_json(_document(findings, plan))
        return 0 if is_ready else 1
    if not is_ready or journal is None:
        failed = next(one for one in findings if not one.ok)
        raise Permanent(
            "preflight-failed",
            "Danube cannot be installed here",
            cause=f"{failed.name}: {failed.what}",
            hint=failed.hint,
        )
    if not confirm(options, "Carry this out?"):
        return 1
    progress = StepProgress(quiet=options.json)
    is_changed = carry_out(plan, machine, journal, chosen, progress)
    keys = ApiClient(options, server=local(Path(chosen.data))).get("/api/v1/config")
    if options.json:
        print_json(
            {
                **_document(findings, plan),
                "steps": progress.done,
                "changed": is_changed,
                "deploy_key": keys["deploy_key"],
            }
        )
    else:
        _print_next(chosen, str(keys["deploy_key"]), is_changed=is_changed)
    return 0


def _options(options: argparse.Namespace, known: InstallOptions | None) -> InstallOptions:
    """What was given, else what an earlier installation has, else the defaults."""
    names = ("data", "user", "listen", "config_repo")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.host_images is not None:
        given["host_images"] = options.host_images == "allow"
    elif known is None and not options.yes and not options.dry_run and not options.json and sys.stdin.isatty():
        say(
            "Jobs run in images. The image `host` is this machine's own programs, which every job could then read and run."
        )
        given["host_images"] = input("May jobs use the image host? [y/N] ").strip().lower() in ("y", "yes")
    return replace(known or InstallOptions(), **given)


def _preflight(
    chosen: InstallOptions, program: ProgramFile, machine: Machine, journal: Journal | None
) -> Sequence[CheckResult]:
    """Facts first, then the doctor's checks in a temporary directory of the disk that the data will be on."""
    content = journal.content if journal is not None else None
    has_program = content is not None and machine.files.state(PROGRAM) is not None
    own = check_machine(read_facts(chosen), chosen, program, content)
    differs = program_differs(
        program, machine.files.digest(PROGRAM) if has_program and content is not None and content.complete else ""
    )
    if os.geteuid() != 0:
        return [*own, differs]
    with tempfile.TemporaryDirectory(prefix="danube-preflight-", dir=existing_parent(chosen.data)) as name:
        found = asyncio.run(diagnose(sandbox_settings(RuntimeSettings(), Path(name))))
    return [*own, differs, *(one for one in found if one.name not in _ABOUT_DATA)]


def _print_plan(plan: Sequence[Step], machine: Machine) -> None:
    say("\nThe plan:")
    for step in plan:
        say(f"  {step.title}" + ("   (holds)" if os.geteuid() == 0 and _holds(step, machine) else ""))
    say("")


def _holds(step: Step, machine: Machine) -> bool:
    try:
        return step.holds(machine)
    except Permanent:  # a user that an earlier step makes
        return False


def _document(findings: Sequence[CheckResult], plan: Sequence[Step]) -> dict[str, Any]:
    return {"findings": [to_builtins(one) for one in findings], "plan": [step.title for step in plan]}


def _print_next(chosen: InstallOptions, deploy_key: str, *, is_changed: bool) -> None:
    say(f"\nDanube serves http://{chosen.listen}" + ("" if is_changed else "; nothing was changed"))
    say("\nNext:")
    for number, text in enumerate(_next_steps(chosen, deploy_key), 1):
        say(f"{number}. {text}")
    say("\nState: danube health    Log: journalctl -u danube    Remove: danube uninstall")


def _next_steps(chosen: InstallOptions, deploy_key: str) -> Sequence[str]:
    images = (
        "Images. Jobs run in images from registries, or from files where there is no internet:\n"
        "     danube image load FILE"
    )
    return [
        "The configuration. A starter is in /etc/danube/config; better is a Git repository:\n"
        "     danube init --config danube-config     # then commit it and push it to your forge\n"
        "   name it as [config_repo] url in /etc/danube/danube.toml, and: systemctl restart danube",
        f"The deploy key. Let it read that repository and those of your pipelines:\n     {deploy_key}",
        *([] if chosen.host_images else [images]),
        "TLS. Put a reverse proxy in front, and name its address as [server] external_url: docs/operating.md",
    ]
