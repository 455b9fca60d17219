"""JSON Schema (2020-12, as OpenAPI 3.1 uses it) of the records that bodies, queries and answers have."""

import inspect
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from danube_pkg.core.documents.marked import FieldRule, rule_of
from danube_pkg.kit.records import MISSING, fields, is_record
from danube_pkg.kit.times import Time

_SCALARS: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Time: {"type": "string", "format": "date-time"},
}


class Schemas:
    """Collects the records that were referred to. components: the document's `#/components/schemas`."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def reference(self, kind: type[Any]) -> dict[str, Any]:
        name = kind.__name__
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._object(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def properties(self, kind: type[Any]) -> list[tuple[str, dict[str, Any], bool]]:
        """(key, schema with description and default, whether it is required) of each field."""
        hints = typing.get_type_hints(kind)
        found = []
        for one in fields(kind):
            rule = rule_of(one)
            schema = self.of(hints[one.name], rule)
            if one.default is not MISSING and "$ref" not in schema:
                schema = {**schema, "default": one.default}
            if rule.about:
                schema = {**schema, "description": rule.about}
            required = one.default is MISSING and one.default_factory is MISSING
            found.append((rule.key or one.name, schema, required))
        return found

    def _object(self, kind: type[Any]) -> dict[str, Any]:
        properties = self.properties(kind)
        described: dict[str, Any] = {"type": "object"}
        text = inspect.getdoc(kind) or ""
        if text and not text.startswith(f"{kind.__name__}("):
            described["description"] = text
        return {
            **described,
            "properties": {key: schema for key, schema, _ in properties},
            "required": [key for key, _, required in properties if required],
            "additionalProperties": False,
        }

    def of(self, hint: Any, rule: FieldRule | None = None) -> dict[str, Any]:
        """The schema of an annotation, with what a field's rule adds."""
        origin = typing.get_origin(hint)
        if origin is types.UnionType or origin is typing.Union:
            kinds = [one for one in typing.get_args(hint) if one is not types.NoneType]
            options = [self.of(one, rule) for one in kinds]
            return {"anyOf": [*options, {"type": "null"}]} if len(kinds) < len(typing.get_args(hint)) else options[0]
        if origin is tuple:
            return {"type": "array", "items": self.of(typing.get_args(hint)[0], rule)}
        if origin is not None and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(typing.get_args(hint)[1])}
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return {"type": "string", "enum": [str(one) for one in hint]}
        if is_record(hint):
            return self.reference(typing.cast("type[Any]", hint))
        return {**_SCALARS[hint], **_bounds(rule or FieldRule())}


def _bounds(rule: FieldRule) -> dict[str, Any]:
    """A rule's bounds as JSON Schema, whose patterns are not anchored."""
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
