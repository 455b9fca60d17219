"""The commands, flags and targets that exist, from the real parsers and the Makefile; and those that a text names."""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from danube_pkg.cli.command_table import COMMANDS
from danube_pkg.cli.main import parser_of
from tests.tidy.tree import ROOT

_PLACEHOLDER = re.compile(r"\$?\{[^{}\n]*\}")
"""`{key}` of an f-string, `${name}` of a template: stands for a value."""

_NAMED = re.compile(r"(?:(?<![\w/.@-])(?<!-c )|(?<=bin/))danube (?=-|[a-z])((?:[^`'\"\n\\;,|()<>#&]|\\\n)*)")
"""What follows `danube` up to the end of a span, a string or a clause; a backslash joins a line with the next one."""

_NOT_COMMANDS = {"import", "as"}
"""`from danube import step`: the SDK."""

_TARGET = re.compile(r"(?:`|\bwith: |\brun:? )make ([a-z][a-z0-9-]*)|^make ([a-z][a-z0-9-]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Named:
    """A command that a text names. `line` counts from 1; `words`: what follows `danube`."""

    line: int
    words: tuple[str, ...]


def commands_in(text: str) -> Iterator[Named]:
    """Each `danube WORD …` of a text."""
    text = _PLACEHOLDER.sub("X", text)
    for found in _NAMED.finditer(text):
        words = tuple(found[1].replace("\\", " ").split())
        if words and words[0] not in _NOT_COMMANDS:
            yield Named(text.count("\n", 0, found.start()) + 1, words)


def mistake(words: Sequence[str]) -> str:
    """What does not exist in `danube WORDS`; "" where all of it does. Words behind a command may be prose."""
    parser, taken = _filled(""), ["danube"]
    for word in words:
        stripped = word.rstrip(".:?!")
        below = _below(parser)
        if word.startswith("-"):
            flag = stripped.split("=")[0]
            if flag not in _flags(parser):
                return f"{' '.join(taken)} has no {flag}"
        elif below and re.fullmatch(r"[a-z][a-z-]*", stripped):
            if stripped not in below:
                return f"there is no {' '.join(taken)} {stripped}"
            parser = below[stripped] if len(taken) > 1 else _below(_filled(stripped))[stripped]
            taken.append(stripped)
        if word != stripped:  # the end of a sentence
            break
    return ""


@cache
def _filled(command: str) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of this one."""
    return parser_of(command)


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _flags(parser: argparse.ArgumentParser) -> set[str]:
    """Its own flags and those of the commands below it, which a document may name together."""
    own = {flag for action in parser._actions for flag in action.option_strings}
    return own.union(*map(_flags, _below(parser).values()))


@cache
def all_flags() -> frozenset[str]:
    """Every flag of any command."""
    return frozenset(flag for name, *_ in COMMANDS for flag in _flags(_filled(name)))


def targets_in(text: str) -> Iterator[tuple[int, str]]:
    """Each target of a `make` that a text names: in backticks, behind "run" or "with:", or as the whole text."""
    for found in _TARGET.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1] or found[2]


@cache
def targets() -> frozenset[str]:
    """The targets of the Makefile that have a name to type."""
    return frozenset(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
