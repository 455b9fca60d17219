"""The schema as JSON Schema (draft 2020-12), for editors: made from the dataclasses that the validation uses.

An editor checks one document of a file at a time; what holds between documents only `danube validate` knows.
"""

import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from danube_pkg.core.configuration.kinds import API_VERSION, KINDS, Metadata
from danube_pkg.core.documents.marked import FieldRule, rule_of
from danube_pkg.core.documents.records import (
    TYPE_KEY,
    optional,
    plain,
    typed_fields,
    variants,
)
from danube_pkg.kit.records import MISSING, Field, is_record

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """The schema of one document."""
    definitions: dict[str, Any] = {}
    kinds = [
        {
            "title": kind,
            "type": "object",
            "additionalProperties": False,
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"const": API_VERSION},
                "kind": {"const": kind},
                "metadata": _record(Metadata, definitions),
                "spec": _record(spec, definitions),
            },
        }
        for kind, spec in KINDS.items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Danube configuration, {API_VERSION}",
        "oneOf": kinds,
        "$defs": dict(sorted(definitions.items())),
    }


def _record(kind: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the record's definition, made when it is first needed."""
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}
        properties: dict[str, Any] = {}
        required: list[str] = []
        if hasattr(kind, "TYPE"):
            properties[TYPE_KEY] = {"const": kind.TYPE}
            required.append(TYPE_KEY)
        for key, (field, hint) in typed_fields(kind).items():
            properties[key] = {**_value(hint, rule_of(field), definitions), **_about(field)}
            if field.default is MISSING and field.default_factory is MISSING:
                required.append(key)
        found = {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "additionalProperties": False,
            "required": required,
            "properties": properties,
        }
        if short := getattr(kind, "SHORT", ""):
            found = {"anyOf": [properties[short], found]}
        definitions[name] = found
    return {"$ref": f"#/$defs/{name}"}


def _about(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"description": rule_of(field).about}
    if field.default is not MISSING and field.default not in (None, ""):
        found["default"] = plain(field.default)
    return found


def _value(expected: Any, rules: FieldRule, definitions: dict[str, Any]) -> dict[str, Any]:
    if kinds := variants(expected):
        return {"oneOf": [_record(kind, definitions) for kind in kinds]}
    if optional(expected) is not expected:
        return {"anyOf": [_value(optional(expected), rules, definitions), {"type": "null"}]}
    origin = typing.get_origin(expected)
    if origin is tuple:
        items = _value(typing.get_args(expected)[0], rules, definitions)
        return {"type": "array", "maxItems": rules.most, "items": items}
    if origin is not None and issubclass(origin, Mapping):
        values = _value(typing.get_args(expected)[1], rules, definitions)
        return {"type": "object", "maxProperties": rules.most, "additionalProperties": values}
    if is_record(expected):
        return _record(typing.cast("type[Any]", expected), definitions)
    return _scalar(expected, rules)


def _scalar(expected: type[Any], rules: FieldRule) -> dict[str, Any]:
    if issubclass(expected, StrEnum):
        return {"enum": [one.value for one in expected]}
    found: dict[str, Any] = {"type": _TYPES[expected]}
    if rules.at_least is not None:
        found["minimum"] = rules.at_least
    if rules.at_most is not None:
        found["maximum"] = rules.at_most
    if rules.pattern and expected is str:
        found["pattern"] = f"^(?:{rules.pattern})$"
    if rules.example and expected is str:
        found["examples"] = [rules.example]
    return found
