"""Strict decoding of the objects in requests: unknown fields and values of the wrong type are refused with the API
server's sentences. `fields.json` has the types, which `make_fields.py` writes."""

import functools
import json
from pathlib import Path
from typing import Any

from tests.fakes.kubernetes.api_errors import ApiError, Json, bad_request

_GO_TYPES = {"string": str, "int": int, "bool": bool}
_MAX_FINDINGS = 100


@functools.cache
def _types() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("fields.json").read_text())
    return found


def decode(body: bytes, kind: str, api_version: str, validation: str) -> Json:
    """The object of a request. validation: the query's `fieldValidation`; unknown fields are removed unless it is
    Strict.

    Raises ApiError 400.
    """
    try:
        found = json.loads(body)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(found, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
    found.setdefault("kind", kind)
    found.setdefault("apiVersion", api_version)
    if (found["kind"], found["apiVersion"]) != (kind, api_version):
        given = f"{found['apiVersion']}, Kind={found['kind']}"
        raise bad_request(f'the object provided is unrecognized (must be of type {kind}): "{given}"')
    return check_fields(found, kind, api_version, validation)


def check_fields(found: Json, kind: str, api_version: str, validation: str) -> Json:
    """The object without unknown fields, or ApiError 400 where validation is Strict or a type is wrong."""
    unknown: list[str] = []
    made = _walk(found, kind if kind != "Event" else "Event", "", unknown, kind)
    if unknown and validation == "Strict":
        text = ", ".join(f'unknown field "{path}"' for path in unknown[:_MAX_FINDINGS])
        raise bad_request(
            f'{kind} in version "{_version(api_version)}" cannot be handled as a {kind}: strict decoding error: {text}'
        )
    checked: Json = made
    return checked


def _version(api_version: str) -> str:
    return api_version.rpartition("/")[2]


def _walk(value: Any, kind: str, path: str, unknown: list[str], root: str) -> Any:
    """The value without unknown fields, whose paths are added to `unknown`."""
    if value is None or kind == "any":
        return value
    if kind.startswith("["):
        if not isinstance(value, list):
            raise _wrong_type(value, path, root)
        return [_walk(one, kind[1:-1], f"{path}[{at}]", unknown, root) for at, one in enumerate(value)]
    if kind.startswith("{"):
        if not isinstance(value, dict):
            raise _wrong_type(value, path, root)
        if path.endswith((".limits", ".requests", ".hard", ".capacity")):  # a quantity may be a number
            return {name: str(one) for name, one in value.items()}
        return {name: _walk(one, kind[1:-1], f"{path}.{name}", unknown, root) for name, one in value.items()}
    if expected := _GO_TYPES.get(kind):
        if path.endswith(".sizeLimit"):
            return str(value)
        if not isinstance(value, expected) or (isinstance(value, bool) and kind != "bool"):
            raise _wrong_type(value, path, root)
        return value
    fields = _types().get(kind)
    if fields is None:
        return value
    if not isinstance(value, dict):
        raise _wrong_type(value, path, root)
    made = {}
    for name, one in value.items():
        place = f"{path}.{name}" if path else name
        if name in fields:
            made[name] = _walk(one, fields[name], place, unknown, root)
        else:
            unknown.append(place)
    return made


def _wrong_type(value: Any, path: str, root: str) -> ApiError:
    names = {str: "string", int: "number", float: "number", bool: "bool", list: "array", dict: "object"}
    given = names.get(type(value), "null")
    return bad_request(
        f'{root} in version "v1" cannot be handled as a {root}: json: cannot unmarshal {given} into Go struct field'
        f" {root}.{path}"
    )
