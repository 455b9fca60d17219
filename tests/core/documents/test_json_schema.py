"""JSON Schemas of records: what they say about each kind of annotation and rule."""

import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from danube_pkg.core.documents.json_schema import JsonSchemas
from danube_pkg.core.documents.marked import Findings, rule
from danube_pkg.core.documents.records import marked, plain, read_record
from danube_pkg.core.errors import SourceLocation
from danube_pkg.kit.records import Record, field

Moment = typing.NewType("Moment", str)


class Size(StrEnum):
    """An enumeration."""

    SMALL = "small"
    LARGE = "large"


class Leaf(Record):
    """Written as its name alone, too."""

    SHORT: ClassVar[str] = "name"
    name: Annotated[str, rule("Its name.", pattern="[a-z]+", example="oak")]
    size: Size = Size.SMALL


class File(Record):
    """One variant."""

    TYPE: ClassVar[str] = "file"
    path: str


class Url(Record):
    """Another variant."""

    TYPE: ClassVar[str] = "url"
    url: str
    at: Moment | None = None


class Tree(Record):
    """All that a record may hold."""

    leaves: Annotated[tuple[Leaf, ...], rule("Its leaves.", most=2)]
    source: File | Url
    height: Annotated[float, rule(at_least=0, at_most=100)] = 1.0
    labels: Annotated[Mapping[str, str], rule(pattern="[a-z]*", most=1)] = field(default_factory=dict)
    parent: "Tree | None" = None
    kind: Annotated[str, rule(key="class")] = ""
    internal: Annotated[int, rule(internal=True)] = 0


def schema(*, bounded: bool = True) -> dict[str, Any]:
    schemas = JsonSchemas("#/$defs/", scalars={Moment: {"type": "string", "format": "date-time"}}, bounded=bounded)
    return {**schemas.reference(Tree), "$defs": schemas.definitions}


OAK: dict[str, Any] = {"leaves": ["a", {"name": "b", "size": "large"}], "source": {"type": "file", "path": "p"}}


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"source": {"type": "url", "url": "u", "at": None}}, True),
        ({"source": {"type": "url", "path": "p"}}, False),
        ({"source": {"type": "ftp"}}, False),
        ({"leaves": ["A"]}, False),
        ({"leaves": ["a", "b", "c"]}, False),
        ({"leaves": [{"name": "a", "size": "huge"}]}, False),
        ({"height": 101}, False),
        ({"height": 100}, True),
        ({"labels": {"x": "y"}}, True),
        ({"labels": {"x": "Y"}}, False),
        ({"labels": {"x": "a", "y": "b"}}, False),
        ({"parent": OAK}, True),
        ({"parent": {}}, False),
        ({"class": "tall"}, True),
        ({"kind": "tall"}, False),
        ({"internal": 1}, False),
        ({"unknown": 1}, False),
    ],
)
def test_the_schema_accepts_what_the_reader_accepts(change: Mapping[str, Any], valid: bool) -> None:
    document = {**OAK, **change}
    assert Draft202012Validator(schema()).is_valid(document) is valid
    findings = Findings()
    found = read_record(Tree, marked(document, SourceLocation("f")), findings)
    assert (found is not None) is valid
    if found is not None:
        assert read_record(Tree, marked(plain(found), SourceLocation("f")), findings) == found, "and back"


def test_definitions_describe_their_records_and_fields() -> None:
    definitions = schema()["$defs"]
    assert set(definitions) == {"Tree", "Leaf", "File", "Url"}
    text, leaf = definitions["Leaf"]["anyOf"]
    assert text == {"type": "string", "pattern": "^([a-z]+)$", "examples": ["oak"], "description": "Its name."}
    assert leaf["description"] == "Written as its name alone, too."
    assert leaf["required"] == ["name"]
    assert leaf["properties"]["size"] == {"type": "string", "enum": ["small", "large"], "default": "small"}
    assert definitions["Tree"]["properties"]["parent"]["anyOf"] == [{"$ref": "#/$defs/Tree"}, {"type": "null"}]
    moment = {"type": "string", "format": "date-time"}
    assert definitions["Url"]["properties"]["at"] == {"anyOf": [moment, {"type": "null"}], "default": None}


def test_answers_have_no_bounds_on_their_length() -> None:
    properties = schema(bounded=False)["$defs"]["Tree"]["properties"]
    assert "maxItems" not in properties["leaves"]
    assert "maxProperties" not in properties["labels"]
