"""What documents name exists."""

import re
import tomllib
from functools import cache

import pytest

from danube_pkg.core.configuration.settings import Settings
from danube_pkg.core.documents.records import typed_fields
from danube_pkg.edges.http.routes import ROUTES
from danube_pkg.kit.records import fields
from tests.tidy import commands, documents
from tests.tidy.tree import ROOT, Source, python

DOCUMENTS = list(documents.documents())


@pytest.fixture(params=DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def document(request: pytest.FixtureRequest) -> Source:
    assert isinstance(request.param, Source)
    return request.param


def test_every_target_exists(document: Source) -> None:
    assert set(documents.make_targets(document)) <= commands.targets()


def test_every_variable_is_read(document: Source) -> None:
    read = {name for source in python("danube_pkg/") for name in re.findall(r"\bDANUBE_[A-Z_]+\b", source.text)}
    assert documents.variables(document) <= read


def test_every_endpoint_exists(document: Source) -> None:
    known = [re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path)) for route in ROUTES]
    for path in documents.endpoints(document):
        assert path == "/api/v1" or any(pattern.fullmatch(path) for pattern in known), path


def test_every_setting_exists(document: Source) -> None:
    tables = {name: {one.name for one in fields(_table(name))} for name in typed_fields(Settings)}
    for block in documents.blocks(document):
        if block.language == "toml":
            for table, values in tomllib.loads(block.text).items():
                assert table in tables, f"[{table}]"
                assert set(values) <= tables[table], f"[{table}] {' '.join(values)}"
    for span in documents.spans(document):
        table, _, key = span.partition(".")
        if table in tables and re.fullmatch(r"[a-z_]+", key):
            assert key in tables[table] | {"toml", "py"}, span


def _table(name: str) -> type:
    annotation = next(field.type for field in fields(Settings) if field.name == name)
    assert isinstance(annotation, type)
    return annotation


def test_every_path_exists(document: Source) -> None:
    """Paths begin at the root, in `danube_pkg/` or beside the document. Any other is a user's own, or a build's."""
    made = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    places = [ROOT, ROOT / "danube_pkg", (ROOT / document.name).parent]
    for path in documents.paths(document):
        first = path.split("/")[0]
        ours = [place for place in places if first not in made and (place / first).exists()]
        assert not ours or any(found for place in ours for found in place.glob(path.rstrip("/"))), path


@cache
def names_of_the_code() -> set[str]:
    return {
        name for source in python("danube_pkg/", "sdk/", "tests/") for name in re.findall(r"[A-Za-z_]\w*", source.text)
    }


def test_every_name_in_a_sample_exists(document: Source) -> None:
    assert documents.unknown_names(document, names_of_the_code()) == set()


def test_a_name_that_does_not_exist_is_found() -> None:
    text = "```python\nclass Own(Record):\n    size: int\n\n    def GET(self) -> Gone: ...\n```\n"
    assert documents.unknown_names(Source("docs/a.md", text), {"Record", "size", "int", "self"}) == {"Gone"}


def test_every_link_leads_somewhere(document: Source) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.text):
        if "://" not in target:
            assert ((ROOT / document.name).parent / target).exists(), target


def promises() -> dict[str, str]:
    """The promises of README, and the rows of the guarantees, with their text."""
    section = (ROOT / "README.md").read_text().partition("## What it promises")[2].partition("\n## ")[0]
    listed = re.findall(r"^(\d+\. .*(?:\n +.*)*)", section, re.MULTILINE)
    guarantees = (ROOT / "docs/design/guarantees.md").read_text().partition("\n## ")[0]
    rows = [line for line in guarantees.splitlines() if line.startswith("| ")][1:]
    return {text[:40]: text for text in (*listed, *rows)}


@pytest.mark.parametrize("name", promises())
def test_every_promise_names_a_test(name: str) -> None:
    """A promise that no test holds is cut to what one does."""
    paths = [path for path in re.findall(r"`(tests/[\w/.]+)`", promises()[name]) if (ROOT / path).exists()]
    files = [
        file for path in paths for file in ([ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("*.py"))
    ]
    assert any("def test_" in file.read_text() for file in files), promises()[name]


def test_both_lists_of_promises_are_found() -> None:
    assert len(promises()) >= 25
    assert [name[:2] for name in promises()][:7] == [f"{number}." for number in range(1, 8)]
