"""The OpenAPI 3.1 document, made from the table of routes and the annotations of handlers and records."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from danube_pkg import __version__
from danube_pkg.core.documents.json_schema import JsonSchemas
from danube_pkg.core.documents.marked import about
from danube_pkg.core.identity.access import RULES, Need
from danube_pkg.core.identity.idempotency import KEY_PATTERN
from danube_pkg.edges.http.server.resource import JSON, BoundHandler, Route
from danube_pkg.edges.http.server.schema import api_schemas
from danube_pkg.kit.records import Record

TEXTS: Mapping[int, str] = {
    200: "Success.",
    201: "Created.",
    202: "Accepted; it is not finished yet.",
    204: "Success, without a body.",
    206: "The requested range.",
    302: "Redirect.",
    303: "Redirect.",
    304: "The client's cached answer is current.",
    400: "The request is invalid; `findings` names each mistake.",
    401: "The request has no valid login or token.",
    403: "The caller is not allowed to do this.",
    404: "It does not exist, or the caller may not see it.",
    408: "The request did not arrive in time.",
    409: "Its current state does not allow this.",
    413: "The body is too large.",
    416: "The range begins behind the end.",
    422: "The request is valid, but cannot be carried out; `detail` says why.",
    429: "Too many requests; Retry-After says how long to wait.",
    500: "A bug in the server.",
    502: "A server that this one depends on gave a wrong answer.",
    503: "Not available now; Retry-After says how long to wait.",
}

ABOUT = """Danube's page and its command line use only this API.

Errors are problem documents (RFC 9457) with a stable `reference` and a `hint` that says how to fix them. Lists are paged by
`cursor`. A POST that creates something takes an `Idempotency-Key`, so that it can be repeated if the answer was lost.
"""

PROBLEM = "application/problem+json"


class ProblemFinding(Record):
    """One of several mistakes."""

    place: Annotated[str, about("Where it is: file and line, `body` or `query`; may be empty.")]
    what: Annotated[str, about("What is wrong.")]
    cause: Annotated[str, about("Why; empty if `what` says it.")]
    hint: Annotated[str, about("How to fix it; may be empty.")]


class Problem(Record):
    """An error (RFC 9457)."""

    type: Annotated[str, about("A URI made from `reference`.")]
    title: Annotated[str, about("What failed.")]
    status: Annotated[int, about("The HTTP status.")]
    detail: Annotated[str, about("Why; empty if `title` says it.")]
    reference: Annotated[str, about("A stable name of this kind of error.")]
    hint: Annotated[str, about("How to fix it; may be empty.")]
    request_id: Annotated[str, about("The request's id, which the server's log has too.")]
    place: Annotated[str | None, about("File and line of the mistake, if it is in a file.")] = None
    findings: Annotated[tuple[ProblemFinding, ...], about("Every mistake, if the request can have several.")] = ()


def document(endpoints: Iterable[tuple[Route, BoundHandler]], patterns: Mapping[str, str]) -> dict[str, Any]:
    """The whole document. patterns: the regular expression of each path parameter, by name."""
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
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token; `danube token create` makes one.",
                },
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
    """The operationId: unique, and readable in a generated client."""
    return f"{route.method.lower()}{route.resource.__name__}" + ("OfPipeline" if "{pipeline}" in route.path else "")


def tag_of(path: str) -> str:
    """The noun that a path is about, for grouping."""
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
            _query_parameter(key, schema, required=required)
            for key, schema, required in schemas.properties(endpoint.query)
        ]
    if route.method == "POST" and RULES[route.action].need is not Need.NOTHING:
        schema = {"type": "string", "pattern": f"^{KEY_PATTERN}$"}
        text = "A repeated request with the same key has no second effect, and gets the first one's answer."
        found.append(
            {"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": schema}
        )
    return found


def _query_parameter(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """The description belongs to the parameter. A query cannot have null: an optional parameter is left out."""
    text = schema.pop("description", "")
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    schema = options[0] if options else schema
    return {"name": name, "in": "query", "required": required, "description": text, "schema": schema}


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
    """Statuses with a problem document: those of every route, those of this kind of route, and the handler's own."""
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
