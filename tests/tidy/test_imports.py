"""No module and no folder imports in a circle, and a deferred import says why; the rules find those that do."""

import pytest

from tests.tidy import imports
from tests.tidy.findings import assert_empty, assert_none
from tests.tidy.tree import Source, python

PRODUCT = ("danube_pkg", "danube", "bench", "build_steps")
"""The packages whose folders are subsystems. A folder of tests may use the fixtures of another one."""


def graph_of(**files: str) -> imports.Graph:
    return imports.module_graph([Source(f"{name.replace('__', '/')}.py", text) for name, text in files.items()])


def test_no_modules_import_each_other() -> None:
    assert_empty(imports.cycles(imports.module_graph(python())))


def test_no_folders_import_each_other() -> None:
    graph = imports.module_graph(python())
    packages = sorted(name for name in imports.packages(graph) if name.split(".")[0] in PRODUCT)
    assert {"danube_pkg", "danube_pkg.core", "danube_pkg.services", "danube_pkg.edges.http"} <= set(packages)
    folders = {package: imports.folder_graph(graph, package) for package in packages}
    assert_empty(f"{package}: {cycle}" for package, graph in folders.items() for cycle in imports.cycles(graph))


def test_a_deferred_import_says_why() -> None:
    assert_none(imports.unexplained_deferral, python())


@pytest.mark.parametrize(
    "back",
    [
        "import p.a",
        "from p.a import X",
        "from p import a",
        "from . import a",
        "from .a import X",
        "def f():\n    import p.a\n",
        "if TYPE_CHECKING:\n    from p.a import X\n",
    ],
)
def test_a_cycle_is_found_with_its_places(back: str) -> None:
    (found,) = imports.cycles(graph_of(p__a="import p.b", p__b=back))
    assert "p.a imports p.b (p/a.py:1)" in found
    assert "p.b imports p.a (p/b.py:" in found


def test_a_cycle_of_three_is_found_once() -> None:
    assert len(list(imports.cycles(graph_of(a="import b", b="import c", c="import a", d="import a")))) == 1


def test_a_chain_passes() -> None:
    assert list(imports.cycles(graph_of(a="import b, c", b="import c", c="import os"))) == []


def test_a_package_may_export_what_is_in_it() -> None:
    sources = [
        Source("p/__init__.py", "from p.a import X"),
        Source("p/a.py", "from p.b import Y"),
        Source("p/b.py", ""),
    ]
    assert list(imports.cycles(imports.module_graph(sources))) == []


def test_folders_that_import_each_other_are_found_where_their_modules_do_not() -> None:
    graph = graph_of(p__jobs__a="import p.logs.b", p__logs__b="", p__logs__c="import p.jobs.d", p__jobs__d="")
    assert list(imports.cycles(graph)) == []
    assert len(list(imports.cycles(imports.folder_graph(graph, "p")))) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f():\n    import a\n", 1),
        ("def f():\n    import a\n    import b\n", 2),
        ("async def f():\n    if x:\n        from a import b\n", 1),
        ("def f():\n    import a  # noqa: F401\n", 1),
        ("def f():\n    import a  # type: ignore[import-untyped]\n", 1),
        ("def f():\n    import a  # noqa: F401 - whether it is installed\n", 0),
        ("def f():\n    import a  # 40 ms, and only login needs it\n", 0),
        ("def f():\n    # 40 ms, and only login needs it\n    import a\n    from b import c\n", 0),
        ("import a\nif TYPE_CHECKING:\n    import b\n", 0),
    ],
)
def test_a_deferred_import_without_a_reason_is_found(text: str, found: int) -> None:
    assert len(list(imports.unexplained_deferral(Source("danube_pkg/sample.py", text)))) == found
