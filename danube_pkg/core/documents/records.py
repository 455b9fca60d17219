"""Records from marked documents, and back.

A record defines what a document may contain: annotations give the types (str, int, float, bool, an enumeration, `X |
None`, `tuple[X, ...]`, `Mapping[str, X]`, another record), and a rule beside the type in `Annotated` gives the bounds.
The records of a union are distinguished by the key `type` and each record's `TYPE`; a record with `SHORT` may be
written as the value of that one field. The reader does not stop at the first mistake: each becomes a finding with its
place, what was expected and the nearest known key.
"""

import re
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from danube_pkg.core.documents.marked import (
    FieldRule,
    Findings,
    Marked,
    key_of,
    nearest,
    rule_of,
)
from danube_pkg.core.documents.quantities import examples, in_unit
from danube_pkg.core.errors import SourceLocation
from danube_pkg.kit.records import MISSING, Field, fields, is_record

TYPE_KEY = "type"

AnyRecord = TypeVar("AnyRecord")

_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_WRONG = object()
"""Stands for a value that was refused; None may be a valid value."""


def read_record(kind: type[AnyRecord], node: Marked, findings: Findings, path: str = "") -> AnyRecord | None:
    """The record, or None where something in it is wrong, which is added to `findings`."""
    return typing.cast("AnyRecord | None", _Reader(findings).record(kind, node, path))


def plain(value: Any) -> Any:
    """A record as JSON values with the keys of documents; `marked` and `read_record` give the same record back."""
    if is_record(value):
        named = {TYPE_KEY: value.TYPE} if hasattr(value, "TYPE") else {}
        known = typed_fields(type(value))
        return {**named, **{key: plain(getattr(value, field.name)) for key, (field, _) in known.items()}}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, StrEnum) else value


def marked(value: Any, place: SourceLocation) -> Marked:
    """A JSON value as a marked document whose every value has the same place."""
    if isinstance(value, Mapping):
        return Marked({key: marked(one, place) for key, one in value.items()}, place, dict.fromkeys(value, place))
    if isinstance(value, list):
        return Marked(tuple(marked(one, place) for one in value), place, {})
    return Marked(value, place, {})


def variants(expected: Any) -> tuple[type[Any], ...]:
    """The records of a union that the key `type` distinguishes; empty for any other annotation."""
    if not isinstance(expected, types.UnionType):
        return ()
    records = tuple(one for one in typing.get_args(expected) if is_record(one))
    return typing.cast("tuple[type[Any], ...]", records) if len(records) > 1 else ()


def optional(expected: Any) -> Any:
    """X of `X | None`; any other annotation as it is."""
    # `Time | None` of a NewType is a typing.Union.
    if typing.get_origin(expected) in (types.UnionType, typing.Union) and types.NoneType in typing.get_args(expected):
        return next(one for one in typing.get_args(expected) if one is not types.NoneType)
    return expected


_typed: dict[type[Any], Mapping[str, tuple[Field, Any]]] = {}
"""The result of `typed_fields` for each record type: looking up rules takes longer than reading a record."""


def typed_fields(kind: type[Any]) -> Mapping[str, tuple[Field, Any]]:
    """The fields of a record and their annotations, by the document's key."""
    if kind not in _typed:
        _typed[kind] = {key_of(field): (field, field.type) for field in fields(kind) if not rule_of(field).internal}
    return _typed[kind]


def _section_hint(key: str, known: Mapping[str, tuple[Field, Any]], path: str) -> str:
    """Where a field belongs that is one of a record below this one; "" for none."""
    kinds = {name: optional(expected) for name, (_, expected) in known.items()}
    sections = [name for name, kind in kinds.items() if is_record(kind) and key in typed_fields(kind)]
    places = " or ".join(f"{path}.{name}.{key}" if path else f"{name}.{key}" for name in sections)
    return f"did you mean {places}?" if places else ""


class _Reader:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def record(self, kind: type[Any], node: Marked, path: str) -> Any:
        short = getattr(kind, "SHORT", "")
        if short and not isinstance(node.value, Mapping | tuple):
            node = Marked({short: node}, node.place, {})
        if not isinstance(node.value, Mapping):
            self._findings.add(node.place, f"{path or 'the document'} must be a mapping, not {_described(node.value)}")
            return None
        known = typed_fields(kind)
        values: dict[str, Any] = {}
        wrong = False
        for key, value in node.value.items():
            if key == TYPE_KEY and hasattr(kind, "TYPE"):
                continue
            name = f"{path}.{key}" if path else key
            if key not in known:
                hint = _section_hint(key, known, path) or nearest(key, [*known])
                self._findings.add(node.keys.get(key, node.place), f"unknown field {name}", hint=hint)
                wrong = True
                continue
            field, hint = known[key]
            found = self._value(hint, value, rule_of(field), name)
            wrong = wrong or found is _WRONG
            values[field.name] = found
        for key, (field, _) in known.items():
            if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
                example = rule_of(field).example or "…"
                name = f"{path}.{key}" if path else key
                self._findings.add(node.place, f"{name} is missing", hint=f"add: {key}: {example}")
                wrong = True
        return None if wrong else kind(**values)

    def _value(self, expected: Any, node: Marked, rules: FieldRule, name: str) -> Any:
        if kinds := variants(expected):
            return self._variant(kinds, node, name)
        if optional(expected) is not expected and node.value is None:
            return None
        expected = optional(expected)
        origin = typing.get_origin(expected)
        if origin is tuple:
            return self._sequence(typing.get_args(expected)[0], node, rules, name)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(typing.get_args(expected)[1], node, rules, name)
        if is_record(expected):
            found = self.record(typing.cast("type[Any]", expected), node, name)
            return _WRONG if found is None else found
        return self._scalar(expected, node, rules, name)

    def _variant(self, kinds: tuple[type[Any], ...], node: Marked, name: str) -> Any:
        known = {kind.TYPE: kind for kind in kinds}
        if not isinstance(node.value, Mapping):
            self._findings.add(node.place, f"{name} must be a mapping, not {_described(node.value)}")
            return _WRONG
        chosen = node.value.get(TYPE_KEY)
        if chosen is None:
            self._findings.add(node.place, f"{name}.type is missing", hint=f"one of: {', '.join(known)}")
            return _WRONG
        if not isinstance(chosen.value, str) or chosen.value not in known:
            what = f"{name}.type must be one of {', '.join(known)}, not {_shown(chosen.value)}"
            self._findings.add(chosen.place, what, hint=nearest(str(chosen.value), [*known]))
            return _WRONG
        found = self.record(known[chosen.value], node, name)
        return _WRONG if found is None else found

    def _sequence(self, item: Any, node: Marked, rules: FieldRule, name: str) -> Any:
        if not isinstance(node.value, tuple):
            hint = "write it as [one, another]" if isinstance(node.value, str) else ""
            self._findings.add(node.place, f"{name} must be a list, not {_described(node.value)}", hint=hint)
            return _WRONG
        if len(node.value) > rules.most:
            self._findings.add(node.place, f"{name} has {len(node.value)} entries; at most {rules.most} are allowed")
            return _WRONG
        found = [self._value(item, one, rules, f"{name}[{index}]") for index, one in enumerate(node.value)]
        return _WRONG if any(one is _WRONG for one in found) else tuple(found)

    def _mapping(self, item: Any, node: Marked, rules: FieldRule, name: str) -> Any:
        if not isinstance(node.value, Mapping):
            self._findings.add(node.place, f"{name} must be a mapping, not {_described(node.value)}")
            return _WRONG
        if len(node.value) > rules.most:
            self._findings.add(node.place, f"{name} has {len(node.value)} entries; at most {rules.most} are allowed")
            return _WRONG
        found = {key: self._value(item, one, rules, f"{name}.{key}") for key, one in node.value.items()}
        return _WRONG if any(one is _WRONG for one in found.values()) else found

    def _scalar(self, expected: Any, node: Marked, rules: FieldRule, name: str) -> Any:
        value = node.value
        # The user may have written the secret itself in the place of its name.
        quiet = rules.secret or rules.hidden
        if isinstance(expected, type) and issubclass(expected, StrEnum):
            words = [one.value for one in expected]
            if isinstance(value, bool) and (word := _WORDS_OF_BOOLEANS[value]) in words:
                value = word
            if value in words:
                return expected(value)
            hint = nearest(value, words) if isinstance(value, str) else ""
            self._findings.add(node.place, f"{name} must be one of {', '.join(words)}, not {_shown(value)}", hint=hint)
            return _WRONG
        if isinstance(value, str) and value in rules.words:
            return rules.words[value]
        if rules.unit and isinstance(value, str):
            return self._quantity(expected, node, rules, name)
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            expectation = " or ".join([_TYPE_NAMES.get(expected, expected.__name__), *rules.words])
            found = _described(node.value, quoted=not quiet)
            self._findings.add(
                node.place, f"{name} must be {expectation}, not {found}", hint=_type_hint(expected, value)
            )
            return _WRONG
        problem = _broken(value, rules)
        if problem:
            shown = "" if quiet else f", not {_shown(node.value)}"
            hint = f"for example: {rules.example}" if rules.example else ""
            if rules.secret:
                hint = "set the secret: danube secrets set NAME; and write NAME here"
            self._findings.add(node.place, f"{name} {problem}{shown}", hint=hint)
            return _WRONG
        return value

    def _quantity(self, expected: Any, node: Marked, rules: FieldRule, name: str) -> Any:
        """A duration or a size that is written as text, as a number of the field's unit."""
        amount = in_unit(node.value, rules.unit)
        problem = ""
        if amount is None:
            problem = f"must be a number of {rules.unit}, or text as {examples(rules.unit)}"
        elif expected is int and amount.denominator != 1:
            problem = f"must be a whole number of {rules.unit}"
        else:
            value = expected(amount)
            problem = _broken(value, rules)
            if not problem:
                return value
        hint = f"for example: {examples(rules.unit).partition(',')[0]}; or a number without quotes"
        self._findings.add(node.place, f"{name} {problem}, not {_shown(node.value)}", hint=hint)
        return _WRONG


_WORDS_OF_BOOLEANS = {True: "on", False: "off"}
"""YAML 1.1 reads these words without quotes as booleans."""


def _broken(value: Any, rules: FieldRule) -> str:
    """How the value breaks its rule; "" where it does not."""
    if isinstance(value, str):
        if rules.pattern and not re.fullmatch(rules.pattern, value):
            return f"must be {rules.expects}" if rules.expects else f"must match {rules.pattern}"
        return ""
    if rules.at_least is not None and not value >= rules.at_least:
        return f"must be at least {rules.at_least:g}"
    if rules.at_most is not None and not value <= rules.at_most:
        return f"must be at most {rules.at_most:g}"
    return ""


def _described(value: Any, *, quoted: bool = True) -> str:
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    name = _TYPE_NAMES.get(type(value), type(value).__name__)
    return f"{name} ({_shown(value)})" if quoted else name


def _type_hint(expected: type[Any], value: Any) -> str:
    if value is None:
        return "write a value, or leave the key out"
    if expected is str:
        return 'put it in quotes: "…"' if isinstance(value, bool | int | float) else ""
    if expected is bool:
        return "write true or false, without quotes"
    return "write a number, without quotes" if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    """The value as messages quote it: short and without credentials in URLs, since it may be a misplaced secret."""
    if isinstance(value, Mapping | tuple | bool):
        return _described(value)
    text = re.sub(r"//[^/\s@]*@", "//…@", repr(value))
    return text if len(text) <= 60 else f"{text[:57]}…"
