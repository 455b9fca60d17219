"""What `install`, `upgrade` and `uninstall` have in common: this machine behind the ports, and what is printed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import painted, say
from danube_pkg.cli.servers import local
from danube_pkg.core.errors import Forbidden, Invalid
from danube_pkg.install.execution import StepChange
from danube_pkg.install.journal import Step
from danube_pkg.install.local_files import LocalFiles
from danube_pkg.install.local_server import LocalServer
from danube_pkg.install.local_users import LocalUsers
from danube_pkg.install.ports import Machine
from danube_pkg.install.systemd import Systemctl
from danube_pkg.ops.doctor import CheckResult


def this_machine(options: argparse.Namespace) -> Machine:
    """The machine that the command runs on."""
    files = LocalFiles()
    server = LocalServer(lambda data: ApiClient(options, server=local(Path(data))).get)
    return Machine(files, LocalUsers(files), Systemctl(), server)


def require_root(user: int, command: str) -> None:
    """Raises Forbidden. user: who runs this."""
    if user != 0:
        raise Forbidden("root-needed", f"only root can {command} Danube", hint=f"sudo danube {command}")


def confirm(options: argparse.Namespace, question: str) -> bool:
    """Whether --yes was given or the administrator says so. Raises Invalid where there is no terminal to ask at."""
    if options.yes:
        return True
    if not sys.stdin.isatty() or options.json:
        raise Invalid(
            "not-confirmed",
            "this changes the machine, and there is no terminal to ask at",
            hint="say yes beforehand: --yes",
        )
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def print_findings(findings: Sequence[CheckResult]) -> None:
    """One line each, and its hint."""
    for one in findings:
        lead = painted("FAIL ", "31") if not one.ok else painted("note ", "33") if one.hint else painted("ok   ", "32")
        say(f"{one.name}: {one.what}", lead=lead)
        if one.hint:
            say(f"       hint: {one.hint}")


class StepProgress:
    """Collects what became of the steps, and prints it unless the result is JSON."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.done: list[dict[str, str]] = []

    def __call__(self, step: Step, outcome: StepChange) -> None:
        self.done.append({"step": step.title, "outcome": outcome})
        if not self._quiet:
            say(step.title, lead=f"{outcome:6} ")
