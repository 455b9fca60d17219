"""JSON Schema (draft 2020-12, which OpenAPI 3.1 uses) of records: made from the annotations and rules that reading
uses.

The configuration's schema for editors and the OpenAPI document are made here, so that both say what
`records.read_record` accepts. Each record becomes one named definition and is referred to; a record that refers to
itself is possible.
"""

import inspect
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from danube_pkg.core.documents.marked import FieldRule, rule_of
from danube_pkg.core.documents.quantities import pattern
from danube_pkg.core.documents.records import TYPE_KEY, optional, plain, typed_fields, variants
from danube_pkg.kit.records import MISSING, Field, is_record

_SCALARS: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
_NULL = {"type": "null"}
_NO_RULE = FieldRule()


class JsonSchemas:
    """Schemas of records and types. `definitions` holds the schema of each record that was referred to, by its name.

    prefix: what a reference to a definition begins with, as `#/$defs/`. scalars: schemas of further scalar types.
    bounded: state how many entries lists and mappings may have, which only holds for what is read.
    """

    def __init__(
        self, prefix: str, *, scalars: Mapping[Any, Mapping[str, Any]] | None = None, bounded: bool = False
    ) -> None:
        self.definitions: dict[str, Any] = {}
        self._prefix = prefix
        self._scalars = {**_SCALARS, **(scalars or {})}
        self._bounded = bounded

    def reference(self, kind: type[Any]) -> dict[str, Any]:
        """A reference to a record's definition, which is made when it is first needed."""
        name = kind.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._record(kind)
        return {"$ref": f"{self._prefix}{name}"}

    def properties(self, kind: type[Any]) -> list[tuple[str, dict[str, Any], bool]]:
        """(key, schema, whether it is required) of each field of a record."""
        return [
            (key, self._property(field, expected), field.default is MISSING and field.default_factory is MISSING)
            for key, (field, expected) in typed_fields(kind).items()
        ]

    def of(self, expected: Any, rule: FieldRule = _NO_RULE) -> dict[str, Any]:
        """The schema of an annotation, with the bounds of a field's rule."""
        if kinds := variants(expected):
            return {"oneOf": [self.reference(kind) for kind in kinds]}
        if optional(expected) is not expected:
            return {"anyOf": [self.of(optional(expected), rule), _NULL]}
        origin = typing.get_origin(expected)
        if origin is tuple:
            most = {"maxItems": rule.most} if self._bounded else {}
            return {"type": "array", **most, "items": self.of(typing.get_args(expected)[0], rule)}
        if origin is not None and issubclass(origin, Mapping):
            most = {"maxProperties": rule.most} if self._bounded else {}
            return {"type": "object", **most, "additionalProperties": self.of(typing.get_args(expected)[1], rule)}
        if is_record(expected):
            return self.reference(typing.cast("type[Any]", expected))
        if isinstance(expected, type) and issubclass(expected, StrEnum):
            return {"type": "string", "enum": [str(one) for one in expected]}
        schema = {**self._scalars[expected], **_bounds(rule)}
        if rule.words:
            return {"anyOf": [schema, {"type": "string", "enum": [*rule.words]}]}
        return {"anyOf": [schema, {"type": "string", "pattern": f"^{pattern(rule.unit)}$"}]} if rule.unit else schema

    def _record(self, kind: type[Any]) -> dict[str, Any]:
        """The definition; a record with `SHORT` may also be written as the value of that one field."""
        properties = self.properties(kind)
        if hasattr(kind, "TYPE"):
            properties.insert(0, (TYPE_KEY, {"const": kind.TYPE}, True))
        text = inspect.cleandoc(kind.__doc__ or "")
        schemas = {key: schema for key, schema, _ in properties}
        found = {
            "type": "object",
            **({"description": text} if text else {}),
            "properties": schemas,
            "required": [key for key, _, required in properties if required],
            "additionalProperties": False,
        }
        short = getattr(kind, "SHORT", "")
        return {"anyOf": [schemas[short], found]} if short else found

    def _property(self, field: Field, expected: Any) -> dict[str, Any]:
        rule = rule_of(field)
        schema = self.of(expected, rule)
        if rule.about:
            schema = {**schema, "description": rule.about}
        if field.default is not MISSING and "$ref" not in schema:
            schema = {**schema, "default": plain(field.default)}
        return schema


def _bounds(rule: FieldRule) -> dict[str, Any]:
    """A rule in the words of JSON Schema, whose patterns are not anchored."""
    found: dict[str, Any] = {}
    if rule.at_least is not None:
        found["minimum"] = rule.at_least
    if rule.at_most is not None:
        found["maximum"] = rule.at_most
    if rule.pattern:
        found["pattern"] = f"^({rule.pattern})$"
    if rule.example:
        found["examples"] = [rule.example]
    return found
