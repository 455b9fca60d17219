"""The OpenAPI 3.1 document, made from the table of routes and the handlers' own annotations."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from danube_pkg import __version__
from danube_pkg.core.documents.json_schema import JsonSchemas
from danube_pkg.core.identity.access import RULES, Need
from danube_pkg.core.identity.idempotency import KEY_PATTERN
from danube_pkg.edges.http.server.resource import JSON, BoundHandler, Route
from danube_pkg.edges.http.server.schema import api_schemas
from danube_pkg.kit.records import Record

TEXTS: Mapping[int, str] = {
    200: "Done.",
    201: "Made.",
    202: "Accepted; it happens now.",
    204: "Done; there is nothing to say.",
    206: "The part that was asked for.",
    302: "Look elsewhere.",
    303: "Look elsewhere.",
    304: "You have it already.",
    400: "The request is wrong; the document says where.",
    401: "Nobody is logged in, or the proof was wrong.",
    403: "Who asks may not.",
    404: "There is no such thing, or none that the caller may see.",
    408: "The request did not arrive in time.",
    409: "The thing is in a state that does not allow it.",
    413: "The body is too large.",
    416: "The range begins behind the end.",
    422: "It was understood and cannot be done; the document says why.",
    429: "Too many tries; Retry-After says how long to wait.",
    500: "Danube broke one of its own rules.",
    502: "What stands behind the server answered wrongly.",
    503: "Not now; Retry-After says when.",
}

ABOUT = """Everything that Danube's page and its command line do, they do through this API.

Errors are problem documents (RFC 9457) with a stable `reference` and a `hint` that says what mends them. Lists are paged by
`cursor`. A POST that makes something takes an `Idempotency-Key`, so that it can be repeated after a lost answer.
"""

PROBLEM = "application/problem+json"


class ProblemFinding(Record):
    """One of several things that are wrong."""

    place: str
    what: str
    cause: str
    hint: str


class Problem(Record):
    """What was refused, why, and what mends it. `reference` is stable; `request_id` is what the server's log has."""

    type: str
    title: str
    status: int
    detail: str
    reference: str
    hint: str
    request_id: str
    place: str | None = None
    findings: tuple[ProblemFinding, ...] = ()


def document(endpoints: Iterable[tuple[Route, BoundHandler]], patterns: Mapping[str, str]) -> dict[str, Any]:
    """The whole document; `patterns` are those of path parameters."""
    schemas = api_schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route, endpoint in endpoints:
        operation = _operation(route, endpoint, schemas, patterns)
        paths.setdefault(re.sub(r"\*", "", route.path), {})[route.method.lower()] = operation
    schemas.reference(Problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Danube",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token: danube token create."},
                "session": {"type": "apiKey", "in": "cookie", "name": "danube_session"},
            },
        },
    }


def _operation(
    route: "Route", endpoint: BoundHandler, schemas: JsonSchemas, patterns: Mapping[str, str]
) -> dict[str, Any]:
    first, _, rest = endpoint.text.partition("\n")
    need = RULES[route.action].need
    operation: dict[str, Any] = {
        "operationId": f"{endpoint_name(route)}",
        "tags": [tag_of(route.path)],
        "summary": first,
        "description": f"{rest}\n\nAction: `{route.action}`.".strip(),
        "parameters": _parameters(route, endpoint, schemas, patterns),
        "responses": _responses(route, endpoint, schemas),
        "security": [] if need is Need.NOTHING else [{"token": []}, {"session": []}],
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": any(required for _, _, required in schemas.properties(endpoint.body)),
            "content": {JSON: {"schema": schemas.reference(endpoint.body)}},
        }
    elif endpoint.answer.takes:
        operation["requestBody"] = {"required": True, "content": {endpoint.answer.takes: {"schema": {}}}}
    return operation


def endpoint_name(route: "Route") -> str:
    """Unique, and readable in a generated client."""
    return f"{route.method.lower()}{route.resource.__name__}" + ("OfPipeline" if "{pipeline}" in route.path else "")


def tag_of(path: str) -> str:
    """The noun that a path is about."""
    words = [word for word in path.split("/") if word and word not in ("api", "v1") and not word.startswith("{")]
    return (
        words[-1] if len(words) > 1 and words[-1] in ("secrets", "log", "artifacts") else words[0] if words else "page"
    )


def _parameters(
    route: "Route", endpoint: BoundHandler, schemas: JsonSchemas, patterns: Mapping[str, str]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^({patterns[name]})$"},
        }
        for name in re.findall(r"\{(\w+)", route.path)
    ]
    if endpoint.query is not None:
        found += [
            {"name": key, "in": "query", "required": required, "schema": _without_null(schema)}
            for key, schema, required in schemas.properties(endpoint.query)
        ]
    if route.method == "POST" and RULES[route.action].need is not Need.NOTHING:
        schema = {"type": "string", "pattern": f"^{KEY_PATTERN}$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema})
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what may be left out is left out."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return options[0] if options else schema


def _responses(route: "Route", endpoint: BoundHandler, schemas: JsonSchemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in endpoint.answer.statuses:
        found[str(status)] = {"description": TEXTS[status]}
        if status in (204, 302, 303, 304):
            continue
        if endpoint.answer.content != JSON:
            found[str(status)]["content"] = {endpoint.answer.content: {"schema": {}}}
        elif endpoint.result is not None or status == 200:
            schema = schemas.reference(endpoint.result) if endpoint.result is not None and status != 202 else {}
            if endpoint.result is not None and endpoint.answer.statuses == (202,):
                schema = schemas.reference(endpoint.result)
            found[str(status)]["content"] = {JSON: {"schema": schema}}
    for status in sorted({*refusals(route, endpoint)}):
        content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        found.setdefault(str(status), {"description": TEXTS[status], "content": content})
    return found


def refusals(route: "Route", endpoint: BoundHandler) -> set[int]:
    """Statuses with a problem document: those of every route, those of its kind, those that it names itself."""
    found = {400, 422, *endpoint.answer.refuses}
    if RULES[route.action].need is not Need.NOTHING:
        found |= {401, 403}
    if "{" in route.path:
        found.add(404)
    if endpoint.body is not None or endpoint.answer.takes:
        found |= {408, 413}
    if route.method == "POST" and RULES[route.action].need is not Need.NOTHING:
        found.add(409)
    return found
