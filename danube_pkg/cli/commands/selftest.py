"""`danube selftest`: real jobs on a server of its own, in a scratch directory, and what must hold afterwards. With
--chaos the server, its helpers and pods are killed, its disk is filled and its network broken meanwhile."""

import argparse
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from danube_pkg.cli.output import painted, print_json, print_table, say
from danube_pkg.cli.selftest.experiment import SelfTest, SelfTestReport, run_selftest
from danube_pkg.cli.selftest.machine_state import MachineState, state_rows
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import to_builtins

MAX_SECONDS = 7 * 86400

MAX_JOBS = 1_000_000

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP: the terminal was closed."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chaos", type=int, metavar="SECONDS", default=0, help="inject faults for that long while jobs run"
    )
    parser.add_argument("--jobs", type=int, metavar="N", default=0, help="run N small jobs and watch what grows")
    parser.add_argument("--seed", type=int, metavar="N", help="choose the same faults and jobs again")
    parser.add_argument(
        "--directory", metavar="DIR", help="where the scratch directory is made (the system's for temporary files)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    _check(options)
    seed = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    below = Path(options.directory or tempfile.gettempdir()).absolute()
    if not below.is_dir():
        raise Invalid("directory-missing", f"{below} is not a directory", hint="name one that exists: --directory DIR")
    stopped = threading.Event()
    for number in STOPPING:
        signal.signal(number, partial(_stop, stopped))
    report = run_selftest(SelfTest(below, seed, _progress, stopped, options.chaos, options.jobs))
    if options.json:
        print_json({"passed": report.passed, **to_builtins(report)})
    else:
        _print(report)
    return 0 if report.passed else 1


def _check(options: argparse.Namespace) -> None:
    for name, most in (("chaos", MAX_SECONDS), ("jobs", MAX_JOBS)):
        if not 0 <= getattr(options, name) <= most:
            raise Invalid(
                "number-out-of-range", f"--{name} must be between 0 and {most}", hint="danube selftest --chaos 600"
            )
    if options.chaos and options.jobs:
        raise Invalid(
            "two-selftests",
            "--chaos and --jobs are two tests",
            hint="run one after the other: danube selftest --chaos 600; danube selftest --jobs 1000",
        )


def _stop(stopped: threading.Event, _number: int, _frame: FrameType | None) -> None:
    """The first time it ends early, with a report of what ran; the second time at once. What was made is removed, which
    no further signal interrupts."""
    if not stopped.is_set():
        stopped.set()
        return
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _progress(line: str) -> None:
    """On standard error, also with --json: a test may take hours."""
    say(line, file=sys.stderr)


def _print(report: SelfTestReport) -> None:
    for promise in report.promises:
        say(f" {promise.name}", lead=painted("ok  ", "32") if promise.kept else painted("FAIL", "31"))
        for problem in promise.problems:
            say(f"       {problem}")
    for line in report.skipped:
        say(f"left out: {line}")
    for name, value in report.figures.items():
        say(f"{name.replace('_', ' '):<18}{_shown(value)}")
    if states := _chosen(report.samples):
        print_table(["", *("" for _ in states)], state_rows(states))
    if report.kept:
        say(f"kept for the report of a defect: {report.kept}")


def _chosen(samples: Sequence[MachineState]) -> Sequence[MachineState]:
    """Before the first job, after the first ones, in the middle, and after the last one; --json has all samples."""
    places = sorted({0, 1, len(samples) // 2, len(samples) - 1})
    return [samples[place] for place in places if 0 <= place < len(samples)]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items()) or "none"
    return str(value)
