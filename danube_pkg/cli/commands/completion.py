"""`danube completion SHELL`: a script that lets a shell complete commands and options, made from their parsers, and
names of jobs and pipelines, which it asks the server for with `danube completion --list`."""

import argparse
import importlib
import shlex
from collections.abc import Iterator, Mapping

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.command_table import COMMANDS, module_of
from danube_pkg.cli.job_names import LATEST
from danube_pkg.cli.output import say
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Invalid, PlatformError

SHELLS = ("bash", "zsh", "fish")

LISTS = {"JOB": "jobs", "PIPELINE": "pipelines"}
"""By the placeholder of an argument: what completes it."""

LISTED_JOBS = 30
"""The newest jobs: more than fit on a terminal."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", nargs="?", choices=SHELLS, help='for bash: eval "$(danube completion bash)"; the same for zsh and fish'
    )
    parser.add_argument("--list", choices=tuple(LISTS.values()), help="what these scripts ask the server for")
    add_server_arguments(parser, json_help="")


def main(options: argparse.Namespace) -> int:
    if options.list:
        return _list(options)
    if not options.shell:
        raise Invalid("shell-missing", "no shell is named", hint='eval "$(danube completion bash)"')
    words: dict[str, list[str]] = {"": [name for name, _ in COMMANDS]}
    for name, _ in COMMANDS:
        parser = argparse.ArgumentParser(prog=name)
        importlib.import_module(module_of(name)).arguments(parser)
        words.update((path, found) for path, found in _words(name, parser))
    say({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](words))
    return 0


def _list(options: argparse.Namespace) -> int:
    """What may stand in a place; nothing where no server answers, since a shell shows no errors."""
    try:
        client = ApiClient(options)
        pipelines = [one["name"] for one in client.get("/api/v1/pipelines")["pipelines"]]
        jobs = list(client.listed("/api/v1/jobs", "jobs", limit=LISTED_JOBS)) if options.list == "jobs" else []
    except PlatformError:
        return 0
    names = [f"@{LATEST}", *(f"{one}@{LATEST}" for one in pipelines)] if options.list == "jobs" else pipelines
    for name in [*names, *(job["id"] for job in jobs)]:
        say(name)
    return 0


def _asked(action: argparse.Action) -> list[str]:
    """A command substitution, which each of these shells has, that completes an argument."""
    name = "PIPELINE" if "--pipeline" in action.option_strings else str(action.metavar or "").rpartition(" ")[2]
    listed = LISTS.get(name)
    return [f"$(danube completion --list {listed} 2>/dev/null)"] if listed else []


def _words(path: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """For a command and each of its subcommands: (words, what may follow them)."""
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        found += [one for one in _asked(action) if one not in found]
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found.append(name)
                yield from _words(f"{path} {name}", command)
        elif action.choices is not None and not action.option_strings:
            found += map(str, action.choices)
    yield path, found


def _bash(words: Mapping[str, list[str]]) -> str:
    cases = "\n".join(f'    {shlex.quote(path)}) words="{" ".join(found)}" ;;' for path, found in words.items())
    return f"""_danube() {{
  local typed= words= word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in -*) ;; *) [ "$(_danube_words "${{typed:+$typed }}$word")" ] && typed="${{typed:+$typed }}$word" ;; esac
  done
  COMPREPLY=($(compgen -W "$(_danube_words "$typed")" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
_danube_words() {{
  local words=
  case $1 in
{cases}
  esac
  echo "$words"
}}
complete -o default -F _danube danube"""


def _zsh(words: Mapping[str, list[str]]) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(words)}"


def _fish(words: Mapping[str, list[str]]) -> str:
    lines = []
    for path, found in words.items():
        names = path.split()
        seen = "".join(f"__fish_seen_subcommand_from {name}; and " for name in names)
        condition = f"{seen[:-6]}" if names else "__fish_use_subcommand"
        lines.append(f'complete -c danube -n {shlex.quote(condition)} -a "{" ".join(found)}"')
    return "\n".join(lines)
