"""The command `danube`. Only the module of the command that is run is imported, and for `--version` nothing.

A command is a module with `arguments(parser)` and `main(options) -> int`. Exit codes: 0 success, 1 the job or the check
failed, 2 invalid usage or input, 3 the server refused it or could not be reached, 130 it was interrupted.
"""

import os
import sys

from danube_pkg import __version__

TYPE_CHECKING = False  # as in `typing`, whose import would be a tenth of the start
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from danube_pkg.core.errors import PlatformError


_KEY_VARIABLES = frozenset({"DANUBE_ENCRYPTION_KEY", "CREDENTIALS_DIRECTORY"})


def script() -> None:
    """The console script `danube`."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of the pipe has closed it
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def main(words: "Sequence[str]") -> int:
    """Run one command; returns the exit code."""
    if words and words[0] in ("--version", "-V"):
        print(f"danube {__version__}")
        return 0
    # --version does not need it
    from danube_pkg.cli.command_table import COMMANDS

    name = words[0] if words else ""
    if name and not name.startswith("-") and name not in dict(COMMANDS):
        return _unknown(name, [one for one, _ in COMMANDS])
    parser = parser_of(name)
    options = parser.parse_args(words)
    if not name:
        parser.print_help()
        return 2
    if not _KEY_VARIABLES.isdisjoint(os.environ):  # else its imports are not needed
        _module("danube_pkg.cli.encryption_key").take_key_from_environment()
    return _run(options)


def _module(name: str) -> "Any":
    import importlib  # --version does not need it

    return importlib.import_module(name)


def _unknown(name: str, commands: "Sequence[str]") -> int:
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(name, commands, 1)
    meant = f"did you mean: danube {near[0]}" if near else "list the commands: danube --help"
    print(f"danube: there is no command {name!r}\n  hint: {meant}", file=sys.stderr)
    return 2


def _run(options: "argparse.Namespace") -> int:
    from danube_pkg.core.errors import Invalid, PlatformError  # --version and --help do not need it

    command = _module(options.module)
    try:
        return int(command.main(options))
    except EOFError:
        return _failed(
            options, Invalid("input-ended", "standard input ended before the input", hint="type it, or use a pipe")
        )
    except PlatformError as error:
        return _failed(options, error)


def _failed(options: "argparse.Namespace", error: "PlatformError") -> int:
    # Only errors need them; imports at the top would slow down every start.
    from danube_pkg.cli.output import print_error
    from danube_pkg.core.errors import Invalid

    print_error(error, as_json=getattr(options, "json", False))
    return 2 if isinstance(error, Invalid) else 3


def parser_of(wanted: str) -> "argparse.ArgumentParser":
    """The parser of all commands. Only the wanted one has its arguments, since adding them imports its module."""
    import argparse  # --version needs neither of them

    from danube_pkg.cli.command_table import COMMANDS, module_of  # as above

    parser = argparse.ArgumentParser(
        prog="danube",
        description="CI/CD in one executable. Start with: danube run",
        epilog="exit codes: 0 success; 1 the job or the check failed; 2 invalid usage or input; 3 the server refused it "
        "or could not be reached; 130 interrupted",
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, text in COMMANDS:
        known = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        known.set_defaults(module=module_of(name))
        if name == wanted:
            _module(module_of(name)).arguments(known)
    return parser


if __name__ == "__main__":
    script()
