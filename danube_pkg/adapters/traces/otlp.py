"""OTLP over HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp): ids are hexadecimal, times are text
with nanoseconds, enums are numbers."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from danube_pkg import __version__
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.http_responses import refusal
from danube_pkg.core.traces.spans import Span
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings

GRPC_PORT = 4317
"""OTLP's port for gRPC; the one for HTTP is 4318."""

STATUS_ERROR = 2


class HttpSpanSender:
    """`core.traces.ports.SpanSender`. Close it after use. version: of the service that the spans are of."""

    def __init__(self, version: str = __version__) -> None:
        self._http = HttpClient(HttpSettings("danube"))
        self._version = version

    async def close(self) -> None:
        await self._http.close()

    async def send(self, endpoint: str, spans: Sequence[Span]) -> None:
        """Raises Unavailable, Permanent."""
        url = traces_url(endpoint)
        body = json.dumps(export_request(spans, self._version)).encode()
        hint = "check observability.otel_endpoint in config.yaml"
        if urlsplit(url).port == GRPC_PORT:
            hint = f"port {GRPC_PORT} speaks gRPC at most collectors; Danube sends over HTTP: port 4318"
        try:
            answer = await self._http.exchange("POST", url, headers={"Content-Type": "application/json"}, body=body)
        except ExchangeFailed as error:
            what = f"the receiver of traces at {error.host} cannot be reached"
            raise Unavailable("traces-not-sent", what, cause=str(error), hint=hint) from error
        found = refusal(
            answer.status, dict(answer.headers), answer.body, time.time(), name=url, kind="receiver of traces"
        )
        if found is not None:
            failed = Unavailable if answer.status in (429, 502, 503, 504) else Permanent
            what = f"the receiver of traces refused spans with status {answer.status}"
            raise failed("traces-not-sent", what, cause=found.cause, hint=hint)


def traces_url(endpoint: str) -> str:
    """The URL for spans, of a base URL or of the URL itself."""
    return endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"


def export_request(spans: Sequence[Span], version: str) -> Mapping[str, Any]:
    """An ExportTraceServiceRequest."""
    resource = {"attributes": _attributes({"service.name": "danube", "service.version": version})}
    scope = {"name": "danube", "version": version}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(map(_span, spans))}]}]
    }


def _span(span: Span) -> Mapping[str, Any]:
    parent = {"parentSpanId": span.parent_id} if span.parent_id else {}
    status = {"status": {"code": STATUS_ERROR, "message": span.problem}} if span.problem else {}
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **parent,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(int(span.begin * 1e9)),
        "endTimeUnixNano": str(int(span.end * 1e9)),
        "attributes": _attributes(span.attributes),
        **status,
    }


def _attributes(values: Mapping[str, str | int]) -> list[Mapping[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
        if value != ""
    ]
