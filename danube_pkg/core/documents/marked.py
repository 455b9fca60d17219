"""Documents whose every value knows its line, the rules that a record's field has for them, and what was found wrong."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.kit.records import Record

MAX_FINDINGS = 200
"""More than anybody mends before reading again; a document full of mistakes must not fill the memory."""

MAX_ITEMS = 1000
"""Of one list: no team has more members, no allowlist more lines that somebody has read."""


class Marked(Record):
    """A scalar, a tuple of `Marked`, or a mapping from key to `Marked`; `keys` are the places of a mapping's keys."""

    value: Any
    place: SourceLocation
    keys: Mapping[str, SourceLocation]


class Document(Record):
    """One document of a file, with the places by which later checks can name a field: `places["spec.script"]`."""

    root: Marked

    def place(self, path: str) -> SourceLocation:
        """Where a field stands, or the nearest thing around it that stands in the file: `spec.triggers[0].schedule`."""
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
    """What a field means and what its value must keep to beside its type.

    about: for the reference page and for editors; with its unit. pattern: matched against the whole text, and told in
    words by `expects`. key: the key in the document where a field of that name is not possible in Python (`kind`, `on`).
    secret: the text names a Danube secret. hidden: the value is quoted nowhere. restart: a change is in force only after
    the server was started again. most: entries of a list or mapping. internal: no key of a document.
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
    most: int = MAX_ITEMS


def rule(about: str = "", **bounds: Any) -> FieldRule:
    """The rule of a field, to stand beside its type in `Annotated`. about: what the field means, for readers."""
    return FieldRule(about, **bounds)


def about(text: str) -> FieldRule:
    """The rule of a field that is only written, never read: what it means, with its unit."""
    return FieldRule(text)


_NO_RULE = FieldRule()


def rule_of(field: Any) -> FieldRule:
    """The rule of a dataclass's field; one without bounds where it has none."""
    return next((one for one in field.marks if isinstance(one, FieldRule)), _NO_RULE)


def key_of(field: Any) -> str:
    """The field's key in a document."""
    return rule_of(field).key or str(field.name)


class Findings:
    """What is wrong, in the order of the files; bounded."""

    def __init__(self) -> None:
        self._found: list[Invalid] = []

    def add(
        self, place: SourceLocation, what: str, *, hint: str = "", reference: str = "configuration-invalid"
    ) -> None:
        if len(self._found) < MAX_FINDINGS:
            self._found.append(Invalid(reference, what, hint=hint, place=place))

    def extend(self, found: Sequence[Invalid]) -> None:
        self._found.extend(found[: MAX_FINDINGS - len(self._found)])

    def sorted(self) -> tuple[Invalid, ...]:
        return tuple(sorted(self._found, key=lambda one: (one.place.file, one.place.line) if one.place else ("", 0)))

    def __len__(self) -> int:
        return len(self._found)


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known word, or all of them where none is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(sorted(known))}" if known else "nothing can be set here yet"
