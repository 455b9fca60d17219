"""Each dependency and each library is named once; the rules find those that are not."""

import tomllib

import pytest

from tests.tidy import dependencies
from tests.tidy.documents import documents
from tests.tidy.findings import assert_empty
from tests.tidy.tree import ROOT, Source

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

TABLE = """# Libraries

| job | library | why |
|---|---|---|
| HTTP | h11 | small |
| YAML | pyyaml (C loader), `Attrs_Strict` | marks |
| the page | solid-js; Node.js from the machine | {} |
"""


def test_each_dependency_stands_once() -> None:
    assert_empty(dependencies.repeated_requirements(PROJECT))


def test_each_library_stands_once_in_the_documents() -> None:
    assert_empty(dependencies.repeated_libraries(documents()))


def test_the_documents_give_a_reason_for_each_dependency_of_the_server() -> None:
    explained = {name for document in documents() for name in dependencies.libraries(document)}
    assert {dependencies.name_of(one) for one in PROJECT["dependencies"]} - explained == set()


@pytest.mark.parametrize(
    ("project", "found"),
    [
        ({"dependencies": ["aiohttp>=3.12", "h11", "aiohttp>=3.13"]}, ["aiohttp stands 2 times in pyproject.toml"]),
        (
            {"dependencies": ["a_b>=1"], "optional-dependencies": {"dev": ["A.B"]}},
            ["a-b stands 2 times in pyproject.toml"],
        ),
        ({"dependencies": ["h11"], "optional-dependencies": {"dev": ["h12"]}}, []),
    ],
)
def test_a_repeated_dependency_is_found(project: dict[str, object], found: list[str]) -> None:
    assert list(dependencies.repeated_requirements(project)) == found


def test_the_libraries_of_a_table_are_read() -> None:
    assert list(dependencies.libraries(Source("docs/a.md", TABLE))) == ["h11", "pyyaml", "attrs-strict", "solid-js"]


def test_a_library_that_stands_twice_is_found_also_in_another_document() -> None:
    pair = [Source("docs/a.md", TABLE), Source("docs/b.md", "| library | why |\n|---|---|\n| h11 | again |\n")]
    assert list(dependencies.repeated_libraries(pair)) == ["h11 stands 2 times in the documents' tables"]


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("h11>=0.16", []),
        ("h11>=0.17", ["h11>=0.17 is pinned to 0.16.0: make lock"]),
        ("h2", ["h2 is not pinned: make lock"]),
    ],
)
def test_a_requirement_that_a_lock_file_does_not_meet_is_found(requirement: str, found: list[str]) -> None:
    assert list(dependencies.unmet([requirement], {"h11": "0.16.0"})) == found
