"""Typed documents from marked ones: the envelope (`apiVersion`, `kind`, `metadata`, `spec`) and the fields of each
kind."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.people import TeamSpec, UserSpec
from danube_pkg.core.configuration.pipelines import PipelineSpec
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import (
    Document,
    Findings,
    Marked,
    nearest,
    rule,
)
from danube_pkg.core.documents.records import read_record
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.kit.records import HIDDEN, Record, field

API_VERSION = "danube.dev/v1"

Spec = ConfigSpec | UserSpec | TeamSpec | PipelineSpec
KINDS: Mapping[str, type[Spec]] = {"Config": ConfigSpec, "User": UserSpec, "Team": TeamSpec, "Pipeline": PipelineSpec}

_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")


class Metadata(Record):
    """A document's name, and the team that owns a pipeline."""

    name: Annotated[
        str, rule("The name, unique among documents of its kind.", example="frontend-build", **patterns.name)
    ]
    team: Annotated[
        str, rule("For a pipeline: the team that owns it; without one only global administrators may use it.")
    ] = ""


class ConfigurationFiles(Record):
    """What an adapter has read: the parsed documents, and findings about files that could not be parsed.

    revision: a commit, or `dir-` and a hash of the content. base: the directory from which relative repositories start,
    "" where the configuration is not on this machine. timezones: the names that this machine knows; empty: they are not
    checked. texts: the YAML text of each document, by its place.
    """

    revision: str
    base: str
    documents: tuple[Marked, ...]
    findings: tuple[Invalid, ...] = ()
    timezones: frozenset[str] = frozenset()
    texts: Annotated[Mapping[SourceLocation, str], HIDDEN] = field(default_factory=dict)


class TypedDocument(Record):
    """One document as records. document: the marked document with the places of its fields."""

    kind: str
    metadata: Metadata
    spec: Spec
    document: Document


def read_documents(nodes: Sequence[Marked], findings: Findings) -> list[TypedDocument]:
    """The documents whose own fields are valid; everything else is added to `findings`. Empty documents are left
    out."""
    read = [_read(Document(node), findings) for node in nodes if node.value is not None]
    return [one for one in read if one is not None]


def _read(document: Document, findings: Findings) -> TypedDocument | None:
    root = document.root
    if not isinstance(root.value, Mapping):
        findings.add(root.place, "a document must be a mapping", hint=f"begin it with: apiVersion: {API_VERSION}")
        return None
    version, kind = (root.value[key].value if key in root.value else None for key in ("apiVersion", "kind"))
    if version != API_VERSION:
        place = document.place("apiVersion")
        findings.add(place, f"apiVersion must be {API_VERSION}", hint=f"write: apiVersion: {API_VERSION}")
        return None
    if not isinstance(kind, str) or kind not in KINDS:
        what = f"unknown kind {kind!r}" if kind is not None else "kind is missing"
        findings.add(document.place("kind"), what, hint=nearest(str(kind), [*KINDS]))
        return None
    for key in root.value:
        if key not in _ENVELOPE:
            findings.add(root.keys.get(key, root.place), f"unknown field {key}", hint=nearest(key, _ENVELOPE))
    empty = Marked({}, root.place, {})
    metadata = read_record(Metadata, root.value.get("metadata", empty), findings, "metadata")
    spec = read_record(KINDS[kind], root.value.get("spec", empty), findings, "spec")
    if metadata is None or spec is None:
        return None
    return TypedDocument(kind, metadata, spec, document)
