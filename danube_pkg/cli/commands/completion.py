"""`danube completion SHELL`: a script that lets a shell complete commands and options, made from their parsers."""

import argparse
import importlib
import shlex
from collections.abc import Iterator, Mapping

from danube_pkg.cli.command_table import COMMANDS, module_of
from danube_pkg.cli.output import say

SHELLS = ("bash", "zsh", "fish")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=SHELLS, help='for bash: eval "$(danube completion bash)"; the same for zsh and fish'
    )


def main(options: argparse.Namespace) -> int:
    words: dict[str, list[str]] = {"": [name for name, _ in COMMANDS]}
    for name, _ in COMMANDS:
        parser = argparse.ArgumentParser(prog=name)
        importlib.import_module(module_of(name)).arguments(parser)
        words.update((path, found) for path, found in _words(name, parser))
    say({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](words))
    return 0


def _words(path: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """For a command and each of its subcommands: (words, what may follow them)."""
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found.append(name)
                yield from _words(f"{path} {name}", command)
        elif action.choices is not None and not action.option_strings:
            found += map(str, action.choices)
    yield path, found


def _bash(words: Mapping[str, list[str]]) -> str:
    cases = "\n".join(
        f"    {shlex.quote(path)}) words={shlex.quote(' '.join(found))} ;;" for path, found in words.items()
    )
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
        lines.append(f"complete -c danube -n {shlex.quote(condition)} -a {shlex.quote(' '.join(found))}")
    return "\n".join(lines)
