"""Typed records from marked documents: a parsed file whose every value knows its line becomes frozen dataclasses.

A record's fields say what a document may hold: their annotations give the types (str, int, float, bool, an enumeration,
`X | None`, `tuple[X, ...]`, `Mapping[str, X]`, another dataclass), `field(metadata=rule(…))` the bounds. The reader never
stops at the first mistake: each becomes a finding with its place, what was expected and the nearest known key. From the
same definitions a JSON Schema can be made.
"""

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

from danube_pkg.core.errors import Invalid, Place

MAX_FINDINGS = 200
"""More than anybody mends before reading again; a document full of mistakes must not fill the memory."""

Record = TypeVar("Record")

_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Marked:
    """A scalar, a tuple of `Marked`, or a mapping from key to `Marked`; `keys` are the places of a mapping's keys."""

    value: Any
    place: Place
    keys: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, with the places by which later checks can name a field: `places["spec.script"]`."""

    root: Marked

    def place(self, path: str) -> Place:
        """Where a field stands, or the nearest thing around it that stands in the file: `spec.triggers.0.schedule`."""
        node = self.root
        for word in path.split("."):
            value = node.value
            if isinstance(value, Mapping) and word in value:
                node = value[word]
            elif isinstance(value, tuple) and word.isdecimal() and int(word) < len(value):
                node = value[int(word)]
            else:
                break
        return node.place


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must keep to beside its type. `pattern` is matched against the whole text; `example` shows one."""

    at_least: float | None = None
    at_most: float | None = None
    pattern: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()
    key: str = ""
    """The key in the document where a field of that name is not possible in Python (`kind`, `on`)."""


def rule(**bounds: Any) -> dict[str, Rule]:
    """Metadata for `dataclasses.field`."""
    return {"rule": Rule(**bounds)}


class Findings:
    """What is wrong, in the order of the files; bounded."""

    def __init__(self) -> None:
        self._found: list[Invalid] = []

    def add(self, place: Place, what: str, *, hint: str = "", reference: str = "configuration-invalid") -> None:
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


def read_record(kind: type[Record], node: Marked, findings: Findings, path: str = "") -> Record | None:
    """The record, or None when something in it is wrong; what is wrong is in `findings`."""
    return typing.cast("Record | None", _Reader(findings).record(kind, node, path))


_WRONG = object()
"""Stands for a value that was refused, so that None can be one."""


class _Reader:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def record(self, kind: type[Any], node: Marked, path: str) -> Any:
        if not isinstance(node.value, Mapping):
            self._findings.add(node.place, f"{path or 'the document'} must be a mapping, not {_described(node.value)}")
            return None
        hints = typing.get_type_hints(kind)
        known = {_key(field): field for field in fields(kind) if field.init}
        values: dict[str, Any] = {}
        wrong = False
        for key, value in node.value.items():
            name = f"{path}.{key}" if path else key
            if key not in known:
                self._findings.add(node.keys.get(key, node.place), f"unknown field {name}", hint=nearest(key, [*known]))
                wrong = True
                continue
            field = known[key]
            found = self._value(hints[field.name], value, field.metadata.get("rule", Rule()), name)
            if found is _WRONG:
                wrong = True
            values[field.name] = found
        for key, field in known.items():
            if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
                name = f"{path}.{key}" if path else key
                self._findings.add(node.place, f"{name} is missing", hint=f"add: {key}: …")
                wrong = True
        return None if wrong else kind(**values)

    def _value(self, expected: Any, node: Marked, rules: Rule, name: str) -> Any:
        origin = typing.get_origin(expected)
        if origin is types.UnionType or origin is typing.Union:
            if node.value is None:
                return None
            expected = next(one for one in typing.get_args(expected) if one is not type(None))
            origin = typing.get_origin(expected)
        if origin is tuple:
            return self._sequence(typing.get_args(expected)[0], node, rules, name)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(typing.get_args(expected)[1], node, rules, name)
        if is_dataclass(expected):
            found = self.record(typing.cast("type[Any]", expected), node, name)
            return _WRONG if found is None else found
        return self._scalar(expected, node, rules, name)

    def _sequence(self, item: Any, node: Marked, rules: Rule, name: str) -> Any:
        if not isinstance(node.value, tuple):
            self._findings.add(node.place, f"{name} must be a list, not {_described(node.value)}")
            return _WRONG
        found = [self._value(item, one, rules, f"{name}[{index}]") for index, one in enumerate(node.value)]
        return _WRONG if any(one is _WRONG for one in found) else tuple(found)

    def _mapping(self, item: Any, node: Marked, rules: Rule, name: str) -> Any:
        if not isinstance(node.value, Mapping):
            self._findings.add(node.place, f"{name} must be a mapping, not {_described(node.value)}")
            return _WRONG
        found = {key: self._value(item, one, rules, f"{name}.{key}") for key, one in node.value.items()}
        return _WRONG if any(one is _WRONG for one in found.values()) else found

    def _scalar(self, expected: Any, node: Marked, rules: Rule, name: str) -> Any:
        value = node.value
        if isinstance(expected, type) and issubclass(expected, StrEnum):
            words = [one.value for one in expected]
            if value in words:
                return expected(value)
            hint = nearest(value, words) if isinstance(value, str) else ""
            self._findings.add(node.place, f"{name} must be one of {', '.join(words)}, not {_shown(value)}", hint=hint)
            return _WRONG
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            hint = 'put it in quotes: "…"' if expected is str and isinstance(value, bool | int | float) else ""
            expectation = _TYPE_NAMES.get(expected, expected.__name__)
            self._findings.add(node.place, f"{name} must be {expectation}, not {_described(node.value)}", hint=hint)
            return _WRONG
        problem = _broken(value, rules)
        if problem:
            self._findings.add(
                node.place,
                f"{name} {problem}, not {_shown(node.value)}",
                hint=nearest(value, rules.choices)
                if rules.choices
                else rules.example and f"for example: {rules.example}",
            )
            return _WRONG
        return value


def _broken(value: Any, rules: Rule) -> str:
    """How the value breaks a rule, or an empty text."""
    if rules.at_least is not None and not isinstance(value, str) and not value >= rules.at_least:
        return f"must be at least {rules.at_least:g}"
    if rules.at_most is not None and not isinstance(value, str) and not value <= rules.at_most:
        return f"must be at most {rules.at_most:g}"
    if rules.choices and value not in rules.choices:
        return f"must be one of {', '.join(rules.choices)}"
    if rules.pattern and not re.fullmatch(rules.pattern, value):
        return f"must match {rules.pattern}"
    return ""


def _key(field: Any) -> str:
    found = field.metadata.get("rule")
    return str(found.key) if found is not None and found.key else str(field.name)


def _described(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list"
    return f"{_TYPE_NAMES.get(type(value), type(value).__name__)} ({_shown(value)})"


def _shown(value: Any) -> str:
    """The value for people, short: a configuration may hold what should not have been there."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
