"""The API's documentation: `/docs` as a page without scripts, and the OpenAPI document that it is made from."""

from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import Any

from danube_pkg.edges.http.server.caching import entity_tag, unless_known
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import PAGE_POLICY
from danube_pkg.kit.records import encode_json

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; text-transform: capitalize; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; border-top: 1px solid var(--line); padding: .25rem .6rem .25rem 0; }
"""


def _cached(request: Request, body: bytes, content: str, policy: str) -> Response:
    headers = (
        ("content-type", content),
        ("etag", entity_tag(body)),
        ("cache-control", "no-cache"),
        ("content-security-policy", policy),
    )
    return unless_known(request, Response(200, body, headers))


class OpenApi(Resource):
    """`/api/v1/openapi.json`."""

    @answers(200, 304)
    async def GET(self, request: Request) -> Response:
        """The OpenAPI 3.1 document of this server."""
        return _cached(request, encode_json(self.services.requests.api_document()), "application/json", PAGE_POLICY)


class Docs(Resource):
    """`/docs`."""

    @cached_property
    def _page(self) -> bytes:
        return render(self.services.requests.api_document()).encode()

    @answers(200, 304, content="text/html; charset=utf-8")
    async def GET(self, request: Request) -> Response:
        """This API as a page."""
        return _cached(request, self._page, "text/html; charset=utf-8", PAGE_POLICY)


class DocsStyle(Resource):
    """`/docs/style.css`."""

    @answers(200, 304, content="text/css; charset=utf-8")
    async def GET(self, request: Request) -> Response:
        """The page's style sheet."""
        return _cached(request, STYLE.encode(), "text/css; charset=utf-8", PAGE_POLICY)


def render(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document: its operations by tag, then its objects."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        "<title>Danube: the API</title><link rel=stylesheet href=/docs/style.css>",
        f"<h1>Danube {escape(info['version'])}: the API</h1>",
        *(f"<p>{escape(text)}</p>" for text in info["description"].strip().split("\n\n")),
        "<p>For programs: <a href=/api/v1/openapi.json>/api/v1/openapi.json</a> (OpenAPI 3.1).</p>",
    ]
    for tag in sorted(by_tag):
        parts += [f"<h2>{escape(tag)}</h2>", *by_tag[tag]]
    parts.append("<h2>objects</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(_object(name, schema))
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        _row(one["name"], one["in"], one["schema"], one["required"], one.get("description", ""))
        for one in operation["parameters"]
    ]
    for content, body in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(_row(f"body ({content})", "body", body["schema"], operation["requestBody"]["required"]))
    answers = [
        f"<tr><td>{status}<td>{escape(one['description'])}<td>{_answer(one)}"
        for status, one in operation["responses"].items()
    ]
    takes = f"<table><tr><th>takes<th>in<th>type<th>meaning{''.join(rows)}</table>" if rows else ""
    return (
        f"<details id={escape(operation['operationId'])}><summary><span class=method>{method.upper()}</span>"
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation['description'])}</p>{takes}"
        f"<table><tr><th>status<th>meaning<th>body{''.join(answers)}</table></details>"
    )


def _answer(response: Mapping[str, Any]) -> str:
    return " ".join(
        f"{_kind(one['schema'])} <small>{escape(name)}</small>" for name, one in response.get("content", {}).items()
    )


def _row(name: str, place: str, schema: Mapping[str, Any], required: bool, text: str = "") -> str:
    needed = " <strong>required</strong>" if required else ""
    return f"<tr><td><code>{escape(name)}</code><td>{escape(place)}<td>{_kind(schema)}{needed}<td>{escape(text)}"


def _object(name: str, schema: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code><td>{_kind(one)}<td>{escape(one.get('description', ''))}"
        for key, one in schema.get("properties", {}).items()
    )
    text = f"<p>{escape(schema.get('description', ''))}</p>"
    head = f"<summary><code>{escape(name)}</code></summary>"
    return f"<details id=object-{escape(name)}>{head}{text}<table>{rows}</table></details>"


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#object-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(one)}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    words = [schema.get("format", schema.get("type", "bytes"))]
    words += [f"{name} {schema[key]}" for key, name in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return escape(" ".join(words))
