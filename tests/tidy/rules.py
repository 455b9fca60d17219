"""The rules for code: each takes a file and yields what it finds, as `line: what`."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath

from tests.tidy.tree import Source

MAX_LINES = 400
"""At this length a file is two things."""

VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
"""Names that say nothing of what is inside."""

UNFINISHED = re.compile(
    r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|\b(raise|return) NotImplemented|pragma: no " + r"cover"
    r"|\bpytest\.(mark\.)?(skip|xfail|importorskip)|\bskip(if|Test|Unless)?\("
)
"""What stands for work that is not done, or for a test that does not run. (Split, so that this file passes.)"""

REGISTRIES = re.compile(r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|crates\.io|proxy\.golang)")
"""Where packages come from is each machine's own setting."""

REFUSALS = ("Permanent", "Invalid", "Unauthenticated", "Forbidden", "NotFound", "Conflict", "TooLarge", "Unavailable")

_BROAD = {"Exception", "BaseException"}
_Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def too_long(source: Source) -> Iterator[str]:
    """More lines than a file should have."""
    count = source.text.count("\n")
    if count > MAX_LINES:
        yield f"1: {count} lines, more than {MAX_LINES}"


def vague_name(source: Source) -> Iterator[str]:
    """A file, directory, class or function whose name says nothing."""
    for part in PurePath(source.name).parts:
        if set(re.split(r"[-_.]", part.lower())) & VAGUE:
            yield f"1: the name {part} says nothing of what is in it"
    if source.name.endswith(".py"):
        for node in ast.walk(source.module):
            if isinstance(node, _Documented) and set(_words(node.name)) & VAGUE:
                yield f"{node.lineno}: the name {node.name} says nothing of what it is"


def _words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")


def unfinished(source: Source) -> Iterator[str]:
    """A note about work to be done, or a test that is left out."""
    yield from _matches(source, UNFINISHED, "is left unfinished")


def registry_host(source: Source) -> Iterator[str]:
    """The address of a package registry."""
    yield from _matches(source, REGISTRIES, "names a registry")


def _matches(source: Source, pattern: re.Pattern[str], what: str) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := pattern.search(line):
            yield f"{number}: {found.group(0)!r} {what}"


def no_module_docstring(source: Source) -> Iterator[str]:
    """A module or package that does not say what it is. An empty `__init__.py` of an example is no module of ours."""
    if not ast.get_docstring(source.module):
        yield "1: no docstring says what this module is for"


def no_docstring(source: Source) -> Iterator[str]:
    """A public function or class without a docstring. A command's `arguments` and `main` are described in cli/main.py."""
    allowed = {"arguments", "main"} if source.name.startswith("danube_pkg/cli/") else set()
    documented = [node for node in source.module.body if isinstance(node, _Documented)]
    for node in documented:
        if not node.name.startswith("_") and node.name not in allowed and not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name} has no docstring"


def swallowed(source: Source) -> Iterator[str]:
    """An exception that is caught and forgotten, or everything suppressed."""
    for node in ast.walk(source.module):
        if isinstance(node, ast.ExceptHandler) and all(map(_does_nothing, node.body)):
            yield f"{node.lineno}: what is caught here is forgotten; contextlib.suppress says so where it is meant"
    for call in _calls(source, "suppress"):
        if {_name(argument) for argument in call.args} & _BROAD:
            yield f"{call.lineno}: everything is suppressed here"


def _does_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass) or constant


def helpless(source: Source) -> Iterator[str]:
    """A refusal that does not say what mends it."""
    for kind in REFUSALS:
        for call in _calls(source, kind):
            if len(call.args) >= 2 and "hint" not in {keyword.arg for keyword in call.keywords}:
                yield f"{call.lineno}: this {kind} has no hint"


def nameless_task(source: Source) -> Iterator[str]:
    """A task that no dump of running tasks could tell from another."""
    for call in _calls(source, "create_task"):
        if "name" not in {keyword.arg for keyword in call.keywords}:
            yield f"{call.lineno}: the task has no name"


def sleeps(source: Source) -> Iterator[str]:
    """A wait for a guessed time."""
    for call in _calls(source, "sleep"):
        yield f"{call.lineno}: sleeps for a guess; tests/support/waiting.py waits for a condition"


def reads_environment(source: Source) -> Iterator[str]:
    """A variable of the environment that is read or set."""
    for node in ast.walk(source.module):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb", "putenv"):
            yield f"{node.lineno}: only the command line reads the environment"


def too_new(source: Source) -> Iterator[str]:
    """What Python 3.11.2, that of Debian 12, does not have: the filters of tarfile came with 3.11.4."""
    for name in ("extractall", "extract"):
        for call in _calls(source, name):
            if "filter" in {keyword.arg for keyword in call.keywords}:
                yield f"{call.lineno}: tarfile has no filters in Debian 12; unpack with the program tar, or member by member"


def _calls(source: Source, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(source.module):
        if isinstance(node, ast.Call) and _name(node.func) == name:
            yield node


def _name(node: ast.expr) -> str:
    """`c` of `a.b.c`; "" for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
