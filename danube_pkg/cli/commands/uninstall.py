"""`danube uninstall`: take an installation away, also an interrupted one. What it has replaced is restored."""

import argparse
import os

from danube_pkg.cli.installation import StepProgress, confirm, require_root, this_machine
from danube_pkg.cli.output import print_json, say
from danube_pkg.core.errors import NotFound
from danube_pkg.install.execution import take_back
from danube_pkg.install.journal import STATE_DIRECTORY, Journal
from danube_pkg.install.plan import SETTINGS_DIRECTORY
from danube_pkg.install.ports import Machine
from danube_pkg.install.steps import MakeDirectory


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep-data", action="store_true", help="leave the data directory, /etc/danube and the user")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    require_root(os.geteuid(), "uninstall")
    machine = this_machine(options)
    journal = Journal(machine.files)
    if journal.content is None:
        if machine.files.state(STATE_DIRECTORY) is not None:  # of an installation that ended before its first step
            journal.end()
            return 0
        raise NotFound(
            "not-installed", "danube install has not installed anything here", hint="see what runs: danube doctor"
        )
    data, stays = journal.content.options.data, _older(journal, machine)
    keeps = options.keep_data or data in stays
    what = "units, program and cache" if keeps else f"everything, also the data in {data} and its keys"
    if not confirm(options, f"This removes {what}, and ends running jobs. Continue?"):
        return 1
    progress = StepProgress(quiet=options.json)
    kept = take_back(machine, journal, progress, keep_data=options.keep_data)
    left = [step.title for step in kept if step.holds(machine)]
    if options.json:
        print_json({"steps": progress.done, "kept": left, "older": stays})
        return 0
    if left:
        say("\nkept:")
        for title in left:
            say(f"  {title}")
    if stays:
        say(f"\nolder than this installation, and kept; if it is not needed: rm -r {' '.join(stays)}")
    return 0


def _older(journal: Journal, machine: Machine) -> list[str]:
    """Directories of Danube that an earlier installation has left, which this one has taken over."""
    assert journal.content is not None
    made = {one.step.path for one in journal.entries if isinstance(one.step, MakeDirectory) and not one.before.existed}
    wanted = (journal.content.options.data, SETTINGS_DIRECTORY)
    return [path for path in wanted if path not in made and machine.files.state(path) is not None]
