"""The rules for the C files: no cycles between modules, by includes or by calls; short functions, short files.

A module is a `.c` file with its header. The reader knows as much C as these rules need: comments and strings are
blanked, a function is a brace at the top level that follows a parenthesis, a call is a function's name before a
parenthesis or as an argument. That is enough for code that compiles, and wrong only for names that a macro makes.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

from tests.tidy.tree import Source

MAX_LINES = 400
MAX_FUNCTION_LINES = 60
"""What fits on a screen."""

_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)", re.DOTALL)
_USE = re.compile(r"(?<!->)(?<!\.)\b([A-Za-z_]\w*)\s*(?=[(),}])")

Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Function:
    """A definition, from the first line of its head to the line of its closing brace."""

    name: str
    is_static: bool
    first_line: int
    last_line: int


def too_long_file(source: Source) -> Iterator[str]:
    """A C file or header with more lines than it should have."""
    count = source.text.count("\n")
    if count > MAX_LINES:
        yield f"1: {count} lines, more than {MAX_LINES}"


def too_long_function(source: Source) -> Iterator[str]:
    """A C function that does not fit on a screen."""
    for function in functions(source.text):
        count = function.last_line - function.first_line + 1
        if count > MAX_FUNCTION_LINES:
            yield f"{function.first_line}: {function.name} has {count} lines, more than {MAX_FUNCTION_LINES}"


def include_cycle(files: Iterable[Source]) -> Iterator[str]:
    """Modules that include each other."""
    yield from _cycle(includes(files), "include")


def call_cycle(files: Iterable[Source]) -> Iterator[str]:
    """Modules that call each other."""
    yield from _cycle(calls(files), "call")


def includes(files: Iterable[Source]) -> Graph:
    """The modules whose headers a module includes."""
    found: dict[str, set[str]] = {}
    for source in files:
        folder = posixpath.dirname(source.name)
        named = {module_of(posixpath.normpath(posixpath.join(folder, name))) for name in _INCLUDE.findall(source.text)}
        found.setdefault(module_of(source.name), set()).update(named - {module_of(source.name)})
    return found


def calls(files: Iterable[Source]) -> Graph:
    """The modules whose functions a module calls or passes on. Of two modules with such a function that of the same
    folder is meant, since each folder is a program."""
    sources = [source for source in files if source.name.endswith(".c")]
    defined = {source.name: functions(source.text) for source in sources}
    owners: dict[str, list[str]] = {}
    for name, found in defined.items():
        for function in found:
            if not function.is_static:
                owners.setdefault(function.name, []).append(name)
    graph: dict[str, set[str]] = {}
    for source in sources:
        own = {function.name for function in defined[source.name]}
        used = set(_USE.findall(_code(source.text))) - own
        graph[module_of(source.name)] = {
            module_of(min(owners[name], key=lambda owner: _distance(owner, source.name)))
            for name in used
            if name in owners
        }
    return graph


def functions(text: str) -> list[Function]:
    """The definitions of a file, in order."""
    code = _code(text)
    found = []
    depth, begin, opened = 0, 0, -1
    for match in re.finditer(r"[{};]", code):
        if match[0] == "{":
            if depth == 0 and code[begin : match.start()].rstrip().endswith(")"):
                opened = begin
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0 and opened >= 0:
                found.append(_function(code, opened, match.start()))
                opened = -1
        if depth == 0:
            begin = match.end()
    return found


def module_of(name: str) -> str:
    """A file's name without its ending."""
    return str(PurePosixPath(name).with_suffix(""))


def _function(code: str, begin: int, end: int) -> Function:
    head = _ATTRIBUTE.sub("", code[begin : code.index("{", begin)])
    name = re.search(r"(\w+)\s*\(", head)
    assert name, head
    first = begin + len(code[begin:]) - len(code[begin:].lstrip())
    is_static = re.match(r"\s*static\b", head) is not None
    return Function(name[1], is_static, code.count("\n", 0, first) + 1, code.count("\n", 0, end) + 1)


def _code(text: str) -> str:
    """The text with comments, strings and directives blanked, line for line."""
    for pattern in (_NOT_CODE, _DIRECTIVE):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def _distance(owner: str, user: str) -> tuple[int, str]:
    return (posixpath.dirname(owner) != posixpath.dirname(user), owner)


def _cycle(graph: Graph, verb: str) -> Iterator[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"these {verb} each other: {' -> '.join(reversed(error.args[1]))}"
