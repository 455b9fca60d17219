"""`core.traces.ports.SpanSender`: an ExportTraceServiceRequest of OTLP."""

from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.adapters.otlp.client import OtlpClient, Signal, attributes, nanoseconds
from danube_pkg.core.traces.spans import Span

STATUS_ERROR = 2


class HttpSpanSender:
    """Sends spans by a client, which its owner closes."""

    def __init__(self, client: OtlpClient) -> None:
        self._client = client

    async def send(self, endpoint: str, spans: Sequence[Span]) -> None:
        """Raises Unavailable, Permanent."""
        scopes = [{"scope": self._client.scope, "spans": list(map(_span, spans))}]
        content = {"resourceSpans": [{"resource": self._client.resource, "scopeSpans": scopes}]}
        await self._client.send(endpoint, Signal.TRACES, content)


def _span(span: Span) -> Mapping[str, Any]:
    parent = {"parentSpanId": span.parent_id} if span.parent_id else {}
    status = {"status": {"code": STATUS_ERROR, "message": span.problem}} if span.problem else {}
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **parent,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": nanoseconds(span.begin),
        "endTimeUnixNano": nanoseconds(span.end),
        "attributes": attributes(span.attributes),
        **status,
    }
