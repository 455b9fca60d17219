"""Counts the requests to a cluster's API server, by operation and status, in the one session that all of them use."""

from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp
from yarl import URL

from danube_pkg.kit.tallies import Tally

UNREACHABLE = "unreachable"
"""In the place of a status: there was no response."""

_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}


def counting(calls: Tally) -> aiohttp.TraceConfig:
    """Counts each request of a session as `OPERATION STATUS` when its response begins, or when there is none."""

    async def ended(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        calls.count(f"{operation_of(params.method, params.url)} {params.response.status}")

    async def failed(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        calls.count(f"{operation_of(params.method, params.url)} {UNREACHABLE}")

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


def operation_of(method: str, url: URL) -> str:
    """A verb of the API and the kind that it is about, without names: `list-pods`, `get-pods/exec`."""
    parts = [part for part in url.path.split("/") if part]
    parts = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    kind = "/".join([*parts[:1], *parts[2:3]]) or "server"
    return f"{_verb(method, url.query, is_named=len(parts) > 1)}-{kind}"


def _verb(method: str, query: Mapping[str, str], *, is_named: bool) -> str:
    if method != "GET":
        return _VERBS.get(method, method.lower())
    return "watch" if "watch" in query else "get" if is_named else "list"
