"""Rules for imports: none in a circle, none inside a function without a reason.

Every import counts, also those inside functions and under TYPE_CHECKING: what is deferred is still a dependency. An
import points at the most specific module that it names, so that a package's `__init__` may re-export its own modules.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from tests.tidy.tree import Source

Graph = dict[str, dict[str, str]]
"""Who imports whom: importer, imported, and the first place (`file:line`) where it does."""

_SEARCH_PATHS = ("sdk/",)
"""Directories from which modules are imported beside the root."""


def module_name(source: Source) -> str:
    """`danube_pkg/core/jobs.py` is `danube_pkg.core.jobs`, `danube_pkg/core/__init__.py` is `danube_pkg.core`."""
    path = source.name.removesuffix(".py")
    for prefix in _SEARCH_PATHS:
        path = path.removeprefix(prefix)
    return path.removesuffix("/__init__").replace("/", ".")


def module_graph(sources: Iterable[Source]) -> Graph:
    """Each module with the modules of these sources that it imports."""
    modules = {module_name(source): source for source in sources}
    graph: Graph = {name: {} for name in modules}
    for name, source in modules.items():
        for node in source.syntax.imports:
            for target in _targets(node, name, source):
                known = next((one for one in _ancestors(target) if one in modules), name)
                if known != name:
                    graph[name].setdefault(known, f"{source.name}:{node.lineno}")
    return graph


def _targets(node: ast.Import | ast.ImportFrom, importer: str, source: Source) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        package = importer.split(".")
        if node.level:
            package = package[: len(package) - node.level + source.name.endswith("/__init__.py")]
        base = [*package, node.module] if node.level and node.module else package if node.level else [node.module or ""]
        yield from (".".join([*base, alias.name]) for alias in node.names)


def _ancestors(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def folder_graph(graph: Graph, package: str) -> Graph:
    """The same for what lies directly below a package: its folders and single modules."""
    folders: Graph = {}
    for importer, imported in graph.items():
        if importer.startswith(f"{package}."):
            own = _below(importer, package)
            edges = folders.setdefault(own, {})
            for name, place in imported.items():
                if name.startswith(f"{package}.") and _below(name, package) != own:
                    edges.setdefault(_below(name, package), place)
    return folders


def packages(graph: Graph) -> set[str]:
    """Every package that has a module of the graph directly in it."""
    return {name.rpartition(".")[0] for name in graph} - {""}


def _below(name: str, package: str) -> str:
    return name.removeprefix(f"{package}.").split(".")[0]


def cycles(graph: Graph) -> Iterator[str]:
    """One shortest cycle for each group of modules that depend on each other, with the place of each import."""
    left = set(graph)
    for name in sorted(graph):
        if name in left and (cycle := _shortest_cycle(graph, name)):
            left -= _reachable(graph, name) & _reachable(_reversed(graph), name)
            steps = [f"{one} imports {other} ({graph[one][other]})" for one, other in pairwise(cycle)]
            yield "; ".join(steps)


def _shortest_cycle(graph: Graph, start: str) -> list[str]:
    """From `start` back to it; empty where there is none."""
    waiting, seen = [[start]], {start}
    for path in waiting:
        for name in graph.get(path[-1], ()):
            if name == start:
                return [*path, start]
            if name not in seen:
                seen.add(name)
                waiting.append([*path, name])
    return []


def _reachable(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found, waiting = {start}, [start]
    for name in waiting:
        new = set(graph.get(name, ())) - found
        found |= new
        waiting.extend(new)
    return found


def _reversed(graph: Graph) -> dict[str, set[str]]:
    importers: dict[str, set[str]] = {name: set() for name in graph}
    for importer, imported in graph.items():
        for name in imported:
            importers.setdefault(name, set()).add(importer)
    return importers


def unexplained_deferral(source: Source) -> Iterator[str]:
    """An import inside a function without a comment on or above its line. It serves the imports right below it too."""
    lines = source.text.splitlines()
    deferred = sorted(source.syntax.deferred_imports, key=lambda node: node.lineno)
    explained: set[int] = set()
    for node in deferred:
        above = node.lineno - 1
        if (
            any(_reason(lines[number - 1]) for number in range(node.lineno, (node.end_lineno or node.lineno) + 1))
            or (lines[above - 1].lstrip().startswith("#") and _reason(lines[above - 1]))
            or above in explained
        ):
            explained.add(node.end_lineno or node.lineno)
        else:
            yield f"{node.lineno}: an import inside a function needs a comment that says why it is not at the top"


def _reason(line: str) -> str:
    """The comment of a line, without what is meant for linters."""
    return re.sub(r"noqa(: [A-Z0-9, ]+)?|type: ignore(\[[\w, -]+\])?", "", line.partition("#")[2]).strip(" #-")
