"""JSON bodies and queries as records.

Requests are read with the reader of configuration documents (`core.documents.records`), so that the answer to a wrong
one names every mistake at once, in the same words. Answers are records whose fields are the keys. The OpenAPI document
is made from the same records, so it cannot differ from what the server does.
"""

import json
import typing
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.documents.records import marked, optional, read_record, typed_fields
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.edges.http.server.messages import InputInvalid, Response
from danube_pkg.kit.records import encode_json

Model = TypeVar("Model")

MAX_DEPTH = 20
"""Levels of nested JSON in a request; no request body needs more than four."""

MAX_QUERY_FIELDS = 50


def json_response(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A response with the value as JSON."""
    return Response(status, encode_json(value), (("content-type", "application/json"), *headers))


def read_body(kind: type[Model], data: bytes) -> Model:
    """The request body as that record; an empty body is an empty object. Raises Invalid, InputInvalid."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Invalid(
            "body-not-json",
            "the body is not JSON",
            cause=str(error),
            hint="send a JSON object, as described at /docs",
        ) from error
    return _read(kind, value, "body")


def read_query(kind: type[Model], text: str) -> Model:
    """The query as that record; numbers and booleans are read from their text. Raises Invalid, InputInvalid."""
    expected: Any = kind
    return typing.cast("Model", _query(expected, text))


@lru_cache(maxsize=1024)
def _query(kind: Any, text: str) -> Any:
    """Cached: pages repeat their queries, and records cannot change."""
    known = typed_fields(kind)
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
        values[name] = _from_text(value, optional(known[name][1]) if name in known else None)
    return _read(kind, values, "query")


def _from_text(text: str, expected: Any) -> Any:
    digits = text.removeprefix("-")
    if expected is int and digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(text)
    if expected is bool and text in ("true", "false"):
        return text == "true"
    return text


def _read(kind: type[Model], value: Any, place: str) -> Model:
    _check(value)
    findings = Findings()
    found = read_record(kind, marked(value, SourceLocation(place)), findings)
    if found is None:
        raise InputInvalid(f"the {place}", findings.sorted())
    return found


def _check(value: Any, depth: int = 0) -> None:
    """Raises Invalid for nesting that is too deep, and for texts that are not Unicode."""
    if depth > MAX_DEPTH:
        raise Invalid(
            "body-too-deep",
            f"the body is nested deeper than {MAX_DEPTH} levels",
            hint="the body is described at /docs",
        )
    if isinstance(value, dict):
        for key, one in value.items():
            _check_text(key)
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)
    elif isinstance(value, str):
        _check_text(value)


def _check_text(value: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Invalid(
            "text-invalid",
            "a text holds half of a surrogate pair, which is not a character",
            hint="encode texts as UTF-8",
        ) from error


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
