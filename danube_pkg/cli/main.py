"""The command `danube`: a table of commands, of which only the one that is asked for is imported.

A command is a module with `arguments(parser)` and `main(options) -> int`. Exit codes: 0 done, 1 the job or the check failed,
2 bad usage, 3 could not reach or could not do.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from danube_pkg import __version__

if TYPE_CHECKING:
    from danube_pkg.core.errors import DanubeError

COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("run", "run", "run the danubefile of this directory here, without a server"),
    ("serve", "serve", "run the server"),
    ("init", "init", "write a danubefile for this repository, or a starter configuration"),
    ("validate", "validate", "check a configuration or a danubefile, here, without a server"),
    ("config", "config", "show what configuration is in force; look at its repository now"),
    ("trigger", "trigger", "start a job of a pipeline"),
    ("jobs", "jobs", "list jobs, newest first"),
    ("logs", "logs", "print a job's log, or follow it"),
    ("cancel", "cancel", "end a job that has not ended"),
    ("rerun", "rerun", "run a job's commit again"),
    ("approve", "approve", "let a job of strangers' code run"),
    ("explain", "explain", "why a job waits, or why it failed"),
    ("artifacts", "artifacts", "list and download what jobs kept"),
    ("secrets", "secrets", "set, list and remove secrets"),
    ("image", "image", "load, pull, list and remove images"),
    ("pipelines", "pipelines", "list the pipelines of the configuration"),
    ("login", "login", "log in at a server elsewhere"),
    ("token", "token", "make, list and revoke API tokens"),
    ("whoami", "whoami", "whom the server takes you for"),
    ("deliveries", "deliveries", "what arrived, and why it started jobs or did not"),
    ("audit", "audit", "who did what"),
    ("drain", "drain", "let the server take no new work"),
    ("resume", "resume", "let the server take work again"),
    ("keys", "keys", "print the server's public keys"),
    ("doctor", "doctor", "check whether this machine can run jobs"),
    ("completion", "completion", "make a shell complete danube's words"),
    ("version", "version", "print the version"),
)
"""(command, module of this package, help), by use."""


def script() -> None:
    """The console script."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def main(words: Sequence[str]) -> int:
    """Run one command; the answer is the exit code."""
    if words and words[0] in ("--version", "-V"):
        print(f"danube {__version__}")
        return 0
    name = words[0] if words else ""
    parser = parser_of(name)
    options = parser.parse_args(words)
    if not name:
        parser.print_help()
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    from danube_pkg.core.errors import DanubeError, Invalid

    command = importlib.import_module(options.module)
    try:
        return int(command.main(options))
    except EOFError:
        return _refused(options, Invalid("input-ended", "nothing was typed", hint="type it, or give it by a pipe"))
    except DanubeError as error:
        return _refused(options, error)


def _refused(options: argparse.Namespace, error: "DanubeError") -> int:
    from danube_pkg.cli.output import print_error
    from danube_pkg.core.errors import Invalid

    print_error(error, as_json=getattr(options, "json", False))
    return 2 if isinstance(error, Invalid) else 3


def parser_of(wanted: str) -> argparse.ArgumentParser:
    """The parser of all commands; only the wanted one has its arguments, since that imports its module."""
    parser = argparse.ArgumentParser(
        prog="danube", description="CI/CD in one executable. Start with: danube run", allow_abbrev=False
    )
    parser.add_argument("-V", "--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module, text in COMMANDS:
        known = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        path = f"danube_pkg.cli.{module}"
        known.set_defaults(module=path)
        if name == wanted:
            importlib.import_module(path).arguments(known)
    return parser


if __name__ == "__main__":
    script()
