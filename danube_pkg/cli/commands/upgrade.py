"""`danube upgrade FILE`: make another program the server, with an automatic way back. Running jobs continue."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.keys.release import pinned_key
from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.installation import StepProgress, confirm, print_findings, require_root, this_machine
from danube_pkg.cli.output import print_json, say
from danube_pkg.cli.servers import local
from danube_pkg.cli.trusted_keys import read_keys
from danube_pkg.core.errors import Permanent
from danube_pkg.core.provenance.builders import RELEASE
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.install import upgrade as upgrades
from danube_pkg.install.journal import InstallOptions, Journal
from danube_pkg.install.plan import ProgramFile
from danube_pkg.install.ports import Machine
from danube_pkg.install.units import PROGRAM
from danube_pkg.kit.records import to_builtins
from danube_pkg.ops.check_upgrade import check_upgrade
from danube_pkg.ops.doctor import CheckResult


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the new program, as it was downloaded")
    parser.add_argument("--provenance", metavar="P", help="its signed provenance (FILE.intoto.jsonl)")
    parser.add_argument("--key", metavar="K", help="trust this public key (the one that this Danube pins)")
    parser.add_argument("--allow-downgrade", action="store_true", help="accept an older version")
    parser.add_argument("--dry-run", action="store_true", help="verify and check, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    require_root(os.geteuid(), "upgrade")
    machine = this_machine(options)
    installed = upgrades.require_installed(Journal(machine.files))
    progress = StepProgress(quiet=options.json)
    ended = upgrades.end_interrupted(machine, Journal(machine.files, "upgrade"), progress)
    if ended and not options.json:
        say(ended)
    upgrades.require_program(options.file)
    provenance = upgrades.read_provenance(options.provenance or f"{options.file}.intoto.jsonl")
    keys, builders = _trusted(options.key)
    candidate = upgrades.prepare_candidate(machine, str(Path(options.file).absolute()))
    try:
        upgrades.check_provenance(provenance, machine.files.digest(str(candidate)), keys, builders, options.file)
        return _upgrade(options, machine, installed, str(candidate), progress)
    finally:
        machine.files.remove(str(candidate))


def _upgrade(
    options: argparse.Namespace, machine: Machine, installed: InstallOptions, candidate: str, progress: StepProgress
) -> int:
    """candidate: verified."""
    old, new = machine.server.version(PROGRAM), machine.server.version(candidate)
    upgrades.check_version(old, new, allow_downgrade=options.allow_downgrade)
    findings = check_upgrade(Path(installed.data), ApiClient(options, server=local(Path(installed.data))).get)
    plan = upgrades.plan_upgrade(machine, installed.data, ProgramFile(candidate, machine.files.digest(candidate)))
    document = {"from": old, "to": new, "findings": [to_builtins(one) for one in findings]}
    if not options.json:
        say(f"{old} becomes {new}; {options.file} is signed by a trusted key")
        print_findings(findings)
    if options.dry_run:
        if options.json:
            print_json(document)
        return 0 if all(one.ok for one in findings) else 1
    _require(findings)
    if not confirm(options, "Upgrade? Running jobs continue, and clients wait meanwhile."):
        return 1
    machine.server.back_up(installed.data, upgrades.BACKUP)
    upgrades.perform(plan, installed, machine, Journal(machine.files, "upgrade"), progress)
    if options.json:
        print_json({**document, "steps": progress.done, "backup": upgrades.BACKUP})
    else:
        say(f"\n{new} serves. A backup of before, with keys: {upgrades.BACKUP}")
        say("units of this version: danube install --yes writes those that have changed")
    return 0


def _require(findings: Sequence[CheckResult]) -> None:
    failed = next((one for one in findings if not one.ok), None)
    if failed is not None:
        raise Permanent(
            "upgrade-not-ready",
            "this server is not ready for an upgrade",
            cause=f"{failed.name}: {failed.what}",
            hint=failed.hint or "danube check-upgrade",
        )


def _trusted(named: str | None) -> tuple[Sequence[SigningKey], tuple[str, ...]]:
    """The keys, and who must have built the program: with a key of one's own, any builder that it has signed for."""
    if named is not None:
        return read_keys(named), ()
    if (pinned := pinned_key()) is None:
        raise Permanent(
            "no-key-pinned",
            "this Danube pins no key of releases",
            cause="it was built without one",
            hint="name the public key of its builder: danube upgrade FILE --key K",
        )
    return [pinned], (RELEASE,)
