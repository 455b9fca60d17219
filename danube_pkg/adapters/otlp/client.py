"""OTLP over HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp): ids are hexadecimal, times are text
with nanoseconds, enums are numbers."""

import json
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from danube_pkg import __version__
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.http_responses import refusal
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings

GRPC_PORT = 4317
"""OTLP's port for gRPC; the one for HTTP is 4318."""


class Signal(StrEnum):
    """What is sent; also the last part of the URL's path."""

    TRACES = "traces"
    METRICS = "metrics"


class OtlpClient:
    """Close it after use. version: of the service that everything is from."""

    def __init__(self, version: str = __version__) -> None:
        self._http = HttpClient(HttpSettings("danube"))
        self._version = version

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()

    @property
    def resource(self) -> Mapping[str, Any]:
        return {"attributes": attributes({"service.name": "danube", "service.version": self._version})}

    @property
    def scope(self) -> Mapping[str, str]:
        return {"name": "danube", "version": self._version}

    async def send(self, endpoint: str, signal: Signal, content: Mapping[str, Any]) -> None:
        """Raises Unavailable, Permanent."""
        url, reference = signal_url(endpoint, signal), f"{signal}-not-sent"
        body = json.dumps(content).encode()
        hint = "check observability.otel_endpoint in config.yaml"
        if urlsplit(url).port == GRPC_PORT:
            hint = f"port {GRPC_PORT} speaks gRPC at most collectors; Danube sends over HTTP: port 4318"
        try:
            answer = await self._http.exchange("POST", url, headers={"Content-Type": "application/json"}, body=body)
        except ExchangeFailed as error:
            what = f"the receiver of {signal} at {error.host} cannot be reached"
            raise Unavailable(reference, what, cause=str(error), hint=hint) from error
        found = refusal(
            answer.status, dict(answer.headers), answer.body, time.time(), name=url, kind=f"receiver of {signal}"
        )
        if found is not None:
            failed = Unavailable if answer.status in (429, 502, 503, 504) else Permanent
            what = f"the receiver of {signal} refused them with status {answer.status}"
            raise failed(reference, what, cause=found.cause, hint=hint)


def signal_url(endpoint: str, signal: Signal) -> str:
    """The URL for a signal: `/v1/SIGNAL` after an address without a path, or in the place of another signal's path.
    Another path is taken as it is."""
    path = urlsplit(endpoint).path.rstrip("/")
    if not path:
        return f"{endpoint.rstrip('/')}/v1/{signal}"
    for one in Signal:
        if path.endswith(f"/v1/{one}"):
            return f"{endpoint.rstrip('/').removesuffix(one)}{signal}"
    return endpoint


def attributes(values: Mapping[str, str | int]) -> list[Mapping[str, Any]]:
    """Those that are not empty, as OTLP's list."""
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
        if value != ""
    ]


def nanoseconds(at: float) -> str:
    """Unix seconds as OTLP writes a time."""
    return str(int(at * 1e9))
