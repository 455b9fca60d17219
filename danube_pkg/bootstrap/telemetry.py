"""Opens what collects and sends traces, and what sends metrics."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from danube_pkg.adapters.otlp.client import OtlpClient
from danube_pkg.adapters.otlp.metrics import HttpMetricSender
from danube_pkg.adapters.otlp.spans import HttpSpanSender
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.metrics import MetricPush
from danube_pkg.services.secrets import KnownValues
from danube_pkg.services.traces import Tracer

_log = EventLog("danube.traces")


class TelemetryParts(Record):
    """What is sent to observability.otel_endpoint. metrics: sends nothing before its `follow` runs."""

    tracer: Tracer
    metrics: MetricPush


@asynccontextmanager
async def open_telemetry(
    store: Store, applied: AppliedConfiguration, known: KnownValues
) -> AsyncIterator[TelemetryParts]:
    """Sends until the block is left. known: masks secrets and e-mail addresses."""
    client = OtlpClient()
    tracer = Tracer(applied, HttpSpanSender(client), store.timing, known.redact, os.urandom)
    owner = TaskOwner(logged(_log.logger))
    owner.start("traces", tracer.follow())
    try:
        yield TelemetryParts(tracer, MetricPush(applied, HttpMetricSender(client), store.timing))
    finally:
        await owner.close()
        await client.close()
