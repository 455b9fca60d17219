"""JSON in and out through records.

Bodies and queries are read with the reader of configuration documents (`core.documents`), so that the answer to a wrong
one names every mistake at once, in the same words. An answer is a record whose fields are the keys of the JSON object.
The OpenAPI document is made from the same records, so it cannot differ from what the server does.
"""

import json
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from danube_pkg.core.documents.marked import Findings, Marked, rule_of
from danube_pkg.core.documents.records import read_record
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.edges.http.server.messages import InputInvalid, Response
from danube_pkg.kit.records import fields

Model = TypeVar("Model")

MAX_DEPTH = 20
"""Levels of nesting in a body; no endpoint takes more than four."""

MAX_QUERY_FIELDS = 50

_known: dict[type[Any], tuple[str, ...]] = {}
"""The names of the fields of each record that was sent; there are as many as the API has."""


def _names(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _known:
        _known[kind] = tuple(one.name for one in fields(kind))
    return _known[kind]


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    return {name: getattr(value, name) for name in _names(type(value))}


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_as_mapping).encode


def to_json(value: Any) -> bytes:
    """Records, and what JSON has, as UTF-8. Lone surrogates, which UTF-8 cannot encode, become question marks."""
    return _encode(value).encode("utf-8", errors="replace")


def json_response(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A response with the value as JSON."""
    return Response(status, to_json(value), (("content-type", "application/json"), *headers))


def read_body(kind: type[Model], data: bytes) -> Model:
    """The body as that record; an empty body is an empty object. Raises Invalid, InputInvalid."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Invalid(
            "body-not-json",
            "the body is not JSON",
            cause=str(error),
            hint="send a JSON object, as described at /docs",
        ) from error
    return _read(kind, _marked(value, SourceLocation("body"), 0), "the body")


def read_query(kind: type[Model], text: str) -> Model:
    """The query as that record; numbers and booleans are read from their text. Raises Invalid, InputInvalid."""
    expected: Any = kind
    return typing.cast("Model", _query(expected, text))


@lru_cache(maxsize=1024)
def _query(kind: Any, text: str) -> Any:
    """Cached, since pages repeat their queries and the result is immutable."""
    hints = _scalars(kind)
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise Invalid(
            "query-invalid",
            "the query cannot be read",
            cause=str(error),
            hint="encode it as a form: name=value&name=value",
        ) from error
    for name, value in pairs:
        values[name] = _from_text(value, hints.get(name))
    return _read(kind, _marked(values, SourceLocation("query"), 0), "the query")


@lru_cache(maxsize=256)
def _scalars(kind: Any) -> Mapping[str, Any]:
    """The type of each field by the key in the query; X for `X | None`."""
    hints = typing.get_type_hints(kind)
    return {rule_of(one).key or one.name: _without_none(hints[one.name]) for one in fields(kind)}


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return next(one for one in typing.get_args(hint) if one is not types.NoneType)
    return hint


def _from_text(text: str, expected: Any) -> Any:
    digits = text.removeprefix("-")
    if expected is int and digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(text)
    if expected is bool and text in ("true", "false"):
        return text == "true"
    return text


def _read(kind: type[Model], node: Marked, what: str) -> Model:
    findings = Findings()
    found = read_record(kind, node, findings)
    if found is None:
        raise InputInvalid(what, findings.sorted())
    return found


def _marked(value: Any, place: SourceLocation, depth: int) -> Marked:
    if depth > MAX_DEPTH:
        raise Invalid(
            "body-too-deep",
            f"the body is nested deeper than {MAX_DEPTH} levels",
            hint="the endpoint's body is described at /docs",
        )
    if isinstance(value, dict):
        return Marked({str(key): _marked(one, place, depth + 1) for key, one in value.items()}, place, {})
    if isinstance(value, list):
        return Marked(tuple(_marked(one, place, depth + 1) for one in value), place, {})
    if isinstance(value, str) and not value.isascii():
        _check_text(value)
    return Marked(value, place, {})


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Invalid("text-invalid", "a text holds half of a surrogate pair", hint="encode texts as UTF-8") from error


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
