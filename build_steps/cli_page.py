"""Writes docs/cli.md from the parsers of the commands:  python -m build_steps.cli_page"""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from danube_pkg.cli.command_table import COMMANDS, module_of

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"

HEAD = """\
# The command line

Every command with its arguments. Made from the commands' own definitions: `python -m build_steps.cli_page` writes this
page, and a test compares. [pipelines.md](pipelines.md) shows `danube run` at work, [login.md](login.md) how to reach a
server on another machine.

## Exit codes

| code | meaning |
|---|---|
| 0 | success; with `--wait` and `logs -f`: the job succeeded |
| 1 | the job failed, or the check found mistakes |
| 2 | invalid usage or input: nothing was done |
| 3 | the server refused it, or could not be reached |
| 130 | interrupted by Ctrl-C; `danube run` has ended its steps and removed its pod, a job of a server continues |

Results are on standard output, everything else on standard error. With `--json` an error is one JSON object a line on
standard error: `reference`, `what`, `place`, `hint`.

## Names of jobs

Where a command takes `JOB`, it takes a whole id, the first characters of one (four or more, as long as only one job
begins with them), `@latest` for the newest job, `PIPELINE@latest` for the newest of a pipeline, and `PIPELINE@BRANCH`
for the newest of a pipeline on a branch. The newest is never a rebuild, which is named by its id. `danube completion`
makes shells complete commands, options, pipelines and jobs.

"""


def cli_page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for name, text in COMMANDS:
        parser = argparse.ArgumentParser(prog=f"danube {name}", add_help=False)
        importlib.import_module(module_of(name)).arguments(parser)
        parts += _command(parser, text, "##")
    return "".join(parts).rstrip("\n") + "\n"


def _command(parser: argparse.ArgumentParser, text: str, heading: str) -> Iterator[str]:
    yield f"{heading} `{parser.prog}`\n\n{_sentence(text)}\n\n"
    rows = [row for action in parser._actions for row in _row(action)]
    if rows:
        yield "| argument | meaning |\n|---|---|\n" + "".join(rows) + "\n"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            described = {one.dest: one.help or "" for one in action._choices_actions}
            for name, below in action.choices.items():
                below.prog = f"{parser.prog} {name}"
                yield from _command(below, described.get(name, ""), "###")


def _row(action: argparse.Action) -> Iterator[str]:
    if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
        return
    value = str(action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper()))
    if action.option_strings:
        shown = ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")
    else:
        shown = value
    meaning = (action.help or "") % {"default": action.default} if action.help else ""
    yield f"| `{shown.replace('|', chr(92) + '|')}` | {_code(meaning).replace('|', chr(92) + '|')} |\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{_code(text[1:])}."


def _code(text: str) -> str:
    """Commands and options as code."""
    names = "|".join(name for name, _ in COMMANDS)
    return re.sub(rf"(danube (?:{names})\b(?: (?:--[a-z][a-z-]*|[A-Z]+))*|(?<!\w)--[a-z][a-z-]*)", r"`\1`", text)


def main() -> None:
    """Write the page."""
    PAGE.write_text(cli_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
