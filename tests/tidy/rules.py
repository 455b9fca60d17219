"""Rules for code that belong to no group of their own: each takes a file and yields its findings, as `line: what`.

Sizes, names, imports, wording, hints and dependencies have modules of their own.
"""

import ast
import re
from collections.abc import Iterator

from tests.tidy.tree import Source, last_name

UNFINISHED = re.compile(
    r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|\b(raise|return) NotImplemented|pragma: no " + r"cover"
    r"|\bpytest\.(mark\.)?(skip|xfail|importorskip)|\bskip(if|Test|Unless)?\("
)
"""What stands for work that is not done, or for a test that does not run. (Split, so that this file passes.)"""

REGISTRIES = re.compile(
    r"//([a-z.-]+\.)?(pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|crates\.io|proxy\.golang)"
)
"""An address to fetch packages from: that is each machine's own setting. A host in an allowlist fetches nothing."""

_BROAD = {"Exception", "BaseException"}
_Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


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
    """A module or package that does not say what it is. An empty `__init__.py` of an example needs none."""
    if not ast.get_docstring(source.module):
        yield "1: no docstring says what this module is for"


def _is_overload(node: ast.AST) -> bool:
    """A signature whose documentation is that of the implementation below it."""
    return any(isinstance(one, ast.Name) and one.id == "overload" for one in getattr(node, "decorator_list", ()))


def no_docstring(source: Source) -> Iterator[str]:
    """A public function or class without a docstring; cli/main.py describes each command's `arguments` and `main`."""
    allowed = {"arguments", "main"} if source.name.startswith("danube_pkg/cli/") else set()
    documented = [node for node in source.module.body if isinstance(node, _Documented) and not _is_overload(node)]
    for node in documented:
        if not node.name.startswith("_") and node.name not in allowed and not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name} has no docstring"


def swallowed(source: Source) -> Iterator[str]:
    """An exception that is caught and forgotten, or everything suppressed."""
    for node in source.syntax.of(ast.ExceptHandler):
        if all(map(_does_nothing, node.body)):
            yield f"{node.lineno}: what is caught here is forgotten; contextlib.suppress says so where it is meant"
    for call in source.syntax.calls.get("suppress", ()):
        if {last_name(argument) for argument in call.args} & _BROAD:
            yield f"{call.lineno}: everything is suppressed here"


def _does_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass) or constant


def nameless_task(source: Source) -> Iterator[str]:
    """A task that no dump of running tasks could tell from another."""
    for call in source.syntax.calls.get("create_task", ()):
        if "name" not in {keyword.arg for keyword in call.keywords}:
            yield f"{call.lineno}: the task has no name"


def pipes_left_open(source: Source) -> Iterator[str]:
    """A process with pipes that stay open when its task is cancelled; `kit/processes.py` closes them."""
    for call in source.syntax.calls.get("create_subprocess_exec", ()):
        if "PIPE" in {last_name(keyword.value) for keyword in call.keywords}:
            yield f"{call.lineno}: its pipes stay open when the task is cancelled; use kit/processes.py"


def sleeps(source: Source) -> Iterator[str]:
    """A wait for a guessed time."""
    for call in source.syntax.calls.get("sleep", ()):
        yield f"{call.lineno}: sleeps for a guess; tests/support/waiting.py waits for a condition"


def reads_environment(source: Source) -> Iterator[str]:
    """A variable of the environment that is read or set."""
    for node in source.syntax.of(ast.Attribute):
        if node.attr in ("environ", "getenv", "environb", "putenv"):
            yield f"{node.lineno}: only the command line reads the environment"


def finished_later(source: Source) -> Iterator[str]:
    """An attribute of an object that is set by another one: the object was not whole when it was made."""
    targets = [target for node in source.syntax.of(ast.Assign) for target in node.targets]
    targets += [node.target for node in source.syntax.of(ast.AnnAssign)]
    targets += [node.target for node in source.syntax.of(ast.AugAssign)]
    for target in targets:
        if isinstance(target, ast.Attribute) and last_name(target.value) != "self":
            yield f"{target.lineno}: {ast.unparse(target)} is assigned after construction; pass it to the constructor"


def too_new(source: Source) -> Iterator[str]:
    """What Python 3.11.2, that of Debian 12, does not have: the filters of tarfile came with 3.11.4."""
    for name in ("extractall", "extract"):
        for call in source.syntax.calls.get(name, ()):
            if "filter" in {keyword.arg for keyword in call.keywords}:
                yield f"{call.lineno}: tarfile has no filters in Debian 12; unpack with the program tar, or member by member"
