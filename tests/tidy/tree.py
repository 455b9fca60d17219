"""The files of the project: what is in the tree and not made by a tool."""

import ast
import gc
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar, cast

Node = TypeVar("Node", bound=ast.AST)

ROOT = Path(__file__).resolve().parents[2]

GENERATED = ("sdk/danube/_proto/", "requirements", "web/package-lock.json", "web/src/api/schema.d.ts")
"""Beginnings of paths that a tool writes: not read by people."""

_BINARY = {".png", ".ico", ".gz", ".zst", ".tar", ".woff2", ".pack", ".idx"}


@dataclass(frozen=True)
class Syntax:
    """The nodes of one Python file. A file is parsed and walked once; the rules read these lists."""

    module: ast.Module
    nodes: dict[type[ast.AST], list[ast.AST]]
    calls: dict[str, list[ast.Call]]
    """By the last part of what is called: `c` for `a.b.c()`."""
    deferred_imports: list[ast.Import | ast.ImportFrom]
    """Those inside a function."""

    def of(self, kind: type[Node]) -> list[Node]:
        """The nodes of exactly this kind, in no certain order. Raises KeyError for one that is not kept."""
        return cast(list[Node], self.nodes[kind])

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Functions and methods, also those inside others."""
        return [*self.of(ast.FunctionDef), *self.of(ast.AsyncFunctionDef)]

    @property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """Every import, wherever it stands."""
        return [*self.of(ast.Import), *self.of(ast.ImportFrom)]


@dataclass(frozen=True)
class Source:
    """A text file. `name`: relative to the root, with slashes."""

    name: str
    text: str

    @cached_property
    def syntax(self) -> Syntax:
        """The nodes of a Python file."""
        return _parse(self.text)

    @property
    def module(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return self.syntax.module


def _parse(text: str) -> Syntax:
    """Without the garbage collector, which would search millions of nodes for cycles and take half of the time."""
    gc.disable()
    try:
        return _walk(ast.parse(text))
    finally:
        gc.freeze()
        gc.enable()


def _walk(module: ast.Module) -> Syntax:
    found = Syntax(module, {kind: [] for kind in _KEPT}, {}, [])
    waiting: list[tuple[ast.AST, bool]] = [(module, False)]
    while waiting:
        node, deferred = waiting.pop()
        kind = type(node)
        if kind in _KEPT:
            found.nodes[kind].append(node)
        if isinstance(node, ast.Call):
            found.calls.setdefault(last_name(node.func), []).append(node)
        elif deferred and isinstance(node, ast.Import | ast.ImportFrom):
            found.deferred_imports.append(node)
        below = deferred or kind is ast.FunctionDef or kind is ast.AsyncFunctionDef
        for value in vars(node).values():
            if isinstance(value, list):
                waiting.extend((child, below) for child in value if isinstance(child, ast.AST))
            elif isinstance(value, ast.AST):
                waiting.append((value, below))
    return found


_KEPT = frozenset(
    {
        ast.AnnAssign,
        ast.Assign,
        ast.AsyncFunctionDef,
        ast.Attribute,
        ast.AugAssign,
        ast.ClassDef,
        ast.Constant,
        ast.ExceptHandler,
        ast.FunctionDef,
        ast.Import,
        ast.ImportFrom,
        ast.JoinedStr,
    }
)
"""The kinds that rules ask for."""


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`; "" for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@cache
def sources() -> tuple[Source, ...]:
    """Every text file that belongs to the project, also one that is not committed yet."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = sorted(ROOT / name for name in listed.split("\0") if name)
    found = [path for path in paths if path.is_file() and path.suffix not in _BINARY]
    return tuple(Source(str(path.relative_to(ROOT)), path.read_text()) for path in found)


def written() -> Iterator[Source]:
    """The files that people write."""
    return (source for source in sources() if not source.name.startswith(GENERATED))


def python(*below: str) -> Iterator[Source]:
    """The Python files that people write, below one of these directories; all where none is named."""
    return (
        source for source in written() if source.name.endswith(".py") and (not below or source.name.startswith(below))
    )
