"""A receiver of OTLP over HTTP on loopback, which reads what it gets by the specification's field names."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class OtlpReceiver:
    """status: of its answers; what is refused with another one is not kept. raw: every accepted body."""

    def __init__(self) -> None:
        self.status = 200
        self.resources: list[Mapping[str, Any]] = []
        self.spans: list[Mapping[str, Any]] = []
        self.metrics: list[Mapping[str, Any]] = []
        self.raw = b""

    async def receive(self, request: web.Request) -> web.Response:
        """A request to either path."""
        assert request.content_type == "application/json"
        body = await request.read()
        if self.status != 200:
            return web.Response(status=self.status, text="not now")
        self.raw += body
        content = json.loads(body)
        for resource in content.get("resourceSpans", ()):
            assert request.path == "/v1/traces"
            self.resources.append(resource["resource"])
            for scope in resource["scopeSpans"]:
                self.spans += map(_checked_span, scope["spans"])
        for resource in content.get("resourceMetrics", ()):
            assert request.path == "/v1/metrics"
            self.resources.append(resource["resource"])
            for scope in resource["scopeMetrics"]:
                self.metrics += map(_checked_metric, scope["metrics"])
        return web.json_response({})


@asynccontextmanager
async def otlp_receiver() -> AsyncIterator[tuple[OtlpReceiver, str]]:
    """A receiver and its URL."""
    made, app = OtlpReceiver(), web.Application(client_max_size=16 * 1024**2)
    for path in ("/v1/traces", "/v1/metrics"):
        app.router.add_post(path, made.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield made, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _checked_span(span: Mapping[str, Any]) -> Mapping[str, Any]:
    """A span whose fields have the forms that OTLP's JSON requires."""
    assert (len(bytes.fromhex(span["traceId"])), len(bytes.fromhex(span["spanId"]))) == (16, 8)
    assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    assert span["kind"] in (1, 2)
    _check_attributes(span.get("attributes", []))
    return {"attributes": [], **span}  # the specification lets a sender leave out what is empty


def _checked_metric(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for a metric: one kind of data, whose points agree with it."""
    (kind,) = metric.keys() - {"name", "description"}
    data = metric[kind]
    assert kind in ("sum", "gauge", "histogram")
    assert data.get("aggregationTemporality", 0) == (0 if kind == "gauge" else 2)
    for point in data["dataPoints"]:
        assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"])
        _check_attributes(point.setdefault("attributes", []))
        if kind == "histogram":
            point.setdefault("count", "0")
            point.setdefault("sum", 0)
            assert len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1
            assert point["explicitBounds"] == sorted(point["explicitBounds"])
            assert sum(map(int, point["bucketCounts"])) == int(point["count"])
        else:
            assert isinstance(point["asDouble"], float | int)
    return metric


def _check_attributes(attributes: list[Mapping[str, Any]]) -> None:
    for attribute in attributes:
        (kind,) = attribute["value"]
        assert kind in ("stringValue", "intValue")
        assert isinstance(attribute["value"][kind], str)
