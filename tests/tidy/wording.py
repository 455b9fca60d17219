"""The rule for words: finds those of `words.py` in a file, also as parts of identifiers and across line breaks.

A text is cut into words once; a phrase is found by its first word and compared word by word. That takes 1.5 s for the
whole tree, where a regular expression for each phrase takes 16.
"""

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import PurePath

from tests.tidy.tree import Source
from tests.tidy.words import ALLOWED_LINES, FRAGMENT, NAMES, NOT_AFTER, NOT_BEFORE, PATHS, WORDS

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word ends at whatever is no letter (a space, `_`, `-`) and at a hump: `TextTold` has two."""

_BETWEEN = " \t\n_#*/"
"""What may stand between the words of a phrase: also a line break with the mark of a comment."""

_FRAGMENTS = re.compile(r'(?:"""|^\s*(?:#|//|/?\*\*?)\s+)(Of) (?!course)', re.MULTILINE)

Phrases = dict[str, list[tuple[list[str], str, str]]]
"""By the first word: all words, the key in the table, what to write instead."""


@dataclass(frozen=True)
class Use:
    """A discouraged word in a file: where, what stands there, which key of the table that is, what to write instead."""

    line: int
    found: str
    key: str
    instead: str


def discouraged(source: Source) -> Iterator[str]:
    """Each discouraged word with what to write instead."""
    for use in uses(source):
        yield f"{use.line}: {use.found!r}; write: {use.instead}"


def uses(source: Source) -> Iterator[Use]:
    """Each discouraged word of a file's path, text and names."""
    for part in PurePath(source.name).with_suffix("").parts:
        yield from (Use(1, part, key, instead) for _, _, key, instead in _find(part, _IN_PATHS))
    yield from _in_text(source)
    if source.name.endswith(".py"):
        for line, name in _names(source):
            yield from (Use(line, name, key, instead) for _, _, key, instead in _find(name, _IN_NAMES))


def _in_text(source: Source) -> Iterator[Use]:
    starts = [0, *accumulate(len(line) for line in source.text.splitlines(keepends=True))]
    for match in _FRAGMENTS.finditer(source.text):
        yield Use(bisect_right(starts, match.start(1)), "Of …", "Of …", FRAGMENT)
    for start, found, key, instead in _find(source.text, _IN_TEXT):
        line = bisect_right(starts, start)
        if key not in ALLOWED_LINES or not re.search(ALLOWED_LINES[key], source.text[starts[line - 1] : starts[line]]):
            yield Use(line, found, key, instead)


def _find(text: str, phrases: Phrases) -> Iterator[tuple[int, str, str, str]]:
    """(offset, phrase, key, instead) for each phrase in the text."""
    words = [word.lower() for word in _WORD.findall(text)]
    candidates = [(index, one) for index, first in enumerate(words) if first in phrases for one in phrases[first]]
    candidates = [(index, one) for index, one in candidates if words[index : index + len(one[0])] == one[0]]
    places = [match.span() for match in _WORD.finditer(text)] if candidates else []
    for index, (phrase, key, instead) in candidates:
        after = index + len(phrase)
        found = " ".join(phrase)
        before, behind = words[index - 1] if index else "", words[after] if after < len(words) else ""
        ordinary = before in NOT_AFTER.get(found, ()) or behind in NOT_BEFORE.get(found, ())
        if not ordinary and _adjacent(text, places[index:after]):
            yield places[index][0], found, key, instead


def _adjacent(text: str, places: list[tuple[int, int]]) -> bool:
    gaps = (text[end:start] for (_, end), (start, _) in pairwise(places))
    return not any(gap.strip(_BETWEEN) for gap in gaps)


def _names(source: Source) -> Iterator[tuple[int, str]]:
    for node in [*source.syntax.functions, *source.syntax.of(ast.ClassDef)]:
        yield node.lineno, node.name
    for attribute in source.syntax.of(ast.Attribute):
        if isinstance(attribute.ctx, ast.Store):
            yield attribute.lineno, attribute.attr


def _phrases(*tables: Mapping[str, str]) -> Phrases:
    found: Phrases = {}
    for table in tables:
        for key, instead in table.items():
            for form in key.split(" | "):
                found.setdefault(form.split()[0], []).append((form.split(), key, instead))
    return found


_IN_TEXT, _IN_NAMES, _IN_PATHS = _phrases(WORDS), _phrases(NAMES), _phrases(WORDS, NAMES, PATHS)
