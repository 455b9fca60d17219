"""Parsed documents whose values know their line, the rules of record fields, and the findings about a document.

Nothing here knows a file format: adapters mark what they parse, `records` reads marked documents as records.
"""

import difflib
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.kit.records import Record, field

MAX_FINDINGS = 200
"""More than users fix before they validate again; a document full of mistakes must not fill the memory."""

MAX_ITEMS = 1000
"""Entries of one list: more than a team has members, or an allowlist entries that were ever reviewed."""

DEFECT_REFERENCE = "configuration-reader-failed"
"""The reference of a finding that stands for an exception of the reader itself."""


class Marked(Record):
    """A value with its place. value: a scalar, a tuple of `Marked`, or a mapping from key to `Marked`. keys: the places
    of a mapping's keys."""

    value: Any
    place: SourceLocation
    keys: Mapping[str, SourceLocation]


class Document(Record):
    """One document of a file; checks look up the places of fields in it."""

    root: Marked

    def place(self, path: str) -> SourceLocation:
        """The place of a field by its path (`spec.triggers[0].schedule`), or of the innermost part of the path that the
        file has."""
        node = self.root
        for word in path.replace("[", ".").replace("]", "").split("."):
            value = node.value
            if isinstance(value, Mapping) and word in value:
                node = value[word]
            elif isinstance(value, tuple) and word.isdecimal() and int(word) < len(value):
                node = value[int(word)]
            else:
                break
        return node.place


class FieldRule(Record):
    """What a field means and what its value must satisfy beside its type.

    about: for the reference page and editors, with the unit. pattern: must match the whole text; `expects` describes it
    in messages. key: the key in documents where it differs from the field's name (`from`, `on`). secret: the value is
    the name of a Danube secret. hidden: the value is never quoted. restart: a change takes effect only after a restart
    of the server. unit: of a number; a duration (`seconds`, `days`) or a size (`MiB`, `GiB`) may also be written as
    text (`1h30m`, `10GiB`). words: what may be written in place of a number, with the value of each. planned: why the
    field has no effect yet and from which version on it has; "" for one that acts. most: entries of a list or mapping.
    internal: not a key of documents.
    """

    about: str = ""
    at_least: float | None = None
    at_most: float | None = None
    pattern: str = ""
    expects: str = ""
    example: str = ""
    key: str = ""
    secret: bool = False
    hidden: bool = False
    restart: bool = False
    internal: bool = False
    unit: str = ""
    words: Mapping[str, int] = field(default_factory=dict)
    planned: str = ""
    most: int = MAX_ITEMS


def rule(about: str = "", **bounds: Any) -> FieldRule:
    """The rule of a field, to be put beside its type in `Annotated`. about: what the field means, for users."""
    return FieldRule(about, **bounds)


def about(text: str) -> FieldRule:
    """The rule of a field that is only written, never read: what it means, with its unit."""
    return FieldRule(text)


_NO_RULE = FieldRule()


def rule_of(field: Any) -> FieldRule:
    """The rule of a record's field; an empty rule where it has none."""
    return next((one for one in field.marks if isinstance(one, FieldRule)), _NO_RULE)


def key_of(field: Any) -> str:
    """The field's key in a document."""
    return rule_of(field).key or str(field.name)


class Findings:
    """Collects what is wrong with documents, at most MAX_FINDINGS; `sorted` gives them by file and line."""

    def __init__(self) -> None:
        self._found: list[Invalid] = []

    def add(
        self, place: SourceLocation, what: str, *, hint: str = "", reference: str = "configuration-invalid"
    ) -> None:
        if len(self._found) < MAX_FINDINGS:
            self._found.append(Invalid(reference, what, hint=hint, place=place))

    def extend(self, found: Sequence[Invalid]) -> None:
        self._found.extend(found[: MAX_FINDINGS - len(self._found)])

    def add_defect(self, place: SourceLocation, error: Exception) -> None:
        """A reader or a check failed with an exception of its own: a finding too, so that a document that Danube does
        not understand keeps no server from starting and hides no other finding."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f", {frames[-1].name} in line {frames[-1].lineno}" if frames else ""
        self.add(
            place,
            f"Danube failed to read this ({type(error).__name__}: {error}{where})",
            hint="this is a defect of Danube: undo the last change of the file, and report it with the file",
            reference=DEFECT_REFERENCE,
        )

    def sorted(self) -> tuple[Invalid, ...]:
        return tuple(sorted(self._found, key=lambda one: (one.place.file, one.place.line) if one.place else ("", 0)))

    def __len__(self) -> int:
        return len(self._found)


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known word, or all of them where none is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(sorted(known))}" if known else "nothing can be set here"
