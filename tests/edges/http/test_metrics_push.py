"""Metrics reach a receiver of OTLP over HTTP with the values of `/metrics`, and nothing is sent where that is off."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from danube_pkg.adapters.otlp.client import Signal, signal_url
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.metrics.definitions import SPECIFIED
from danube_pkg.kit.records import replace
from tests.edges.http.api import Api
from tests.support.otlp_collector import PROGRAMS, through_collector
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.waiting import wait_until_async

CHANGING = ("danube_queue_oldest_seconds", "danube_disk_", "process_")
"""Metrics that change with time."""


@pytest.fixture(params=PROGRAMS)
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[OtlpReceiver, str]]:
    """What a receiver got, and where it is sent: to the receiver, or to a collector before it."""
    async with otlp_receiver() as (made, address):
        with through_collector(request.param, address, tmp_path) as sent_to:
            yield made, sent_to


async def configure(api: Api, observability: str) -> None:
    config = f"{{apiVersion: danube.dev/v1, kind: Config, metadata: {{name: g}}, spec: {{observability: {{{observability}}}}}}}"
    (api.path / "config" / "config.yaml").write_text(config)
    assert (await api.parts.configuration.sync()).ok


async def push(api: Api) -> float:
    return await api.parts.telemetry.metrics.send(api.services.requests.metrics.points)


def samples_of(metric: Mapping[str, Any]) -> dict[tuple[str, ...], float]:
    """The samples that Prometheus would show of it."""
    (kind,) = metric.keys() - {"name", "description"}
    found = {}
    for point in metric[kind]["dataPoints"]:
        labels = sorted((one["key"], one["value"]["stringValue"]) for one in point["attributes"])
        values = tuple(value for _, value in labels)
        if kind != "histogram":
            found[(metric["name"], *values)] = float(point["asDouble"])
            continue
        found[(f"{metric['name']}_sum", *values)] = float(point["sum"])
        found[(f"{metric['name']}_count", *values)] = float(point["count"])
        below = 0
        for bound, count in zip([*point["explicitBounds"], "+Inf"], map(int, point["bucketCounts"]), strict=True):
            below += count
            name = bound if bound == "+Inf" else f"{bound:g}"
            found[(f"{metric['name']}_bucket", name, *values)] = float(below)
    return found


def labels_of(sample: Sample) -> list[str]:
    """The values of its labels in the order of their names, a bucket's bound first."""
    return [value for _, value in sorted(sample.labels.items(), key=lambda one: (one[0] != "le", one[0]))]


async def test_a_receiver_gets_what_is_scraped(api: Api, receiver: tuple[OtlpReceiver, str]) -> None:
    made, address = receiver
    api.pipeline("app")
    await configure(
        api, f"metrics_push_enabled: true, metrics_push_interval: 30s, otel_endpoint: '{address}/v1/traces'"
    )
    for seconds in (3.0, 45.0, 1e6):
        job = await api.open_job("app")
        ended = replace(job, phase=Phase.CLOSED, status=Status.SUCCESS, started_at=100.0, finished_at=100.0 + seconds)
        api.services.requests.metrics.job_changed(ended)
    metrics = api.services.requests.metrics
    points, text = metrics.points(), metrics.text(lambda _: True, all_names=True)  # of one moment
    assert await api.parts.telemetry.metrics.send(lambda: points) == 30.0
    scraped = {
        (sample.name, *labels_of(sample)): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.startswith(CHANGING)
    }
    received = {
        key: value
        for metric in made.metrics
        for key, value in samples_of(metric).items()
        if not key[0].startswith(CHANGING)
    }
    assert received == scraped
    assert received["danube_job_duration_seconds_bucket", "60", "app"] == 2
    names = {metric["name"] for metric in made.metrics}
    with_samples = {one.name for one in SPECIFIED if any(key[0].startswith(one.name) for key in scraped)}
    assert with_samples <= names
    assert {"danube_jobs_total", "danube_active_pods", "process_resident_memory_bytes"} <= names


async def test_what_follows_sends_until_it_is_cancelled(api: Api, receiver: tuple[OtlpReceiver, str]) -> None:
    made, address = receiver
    await configure(api, f"metrics_push_enabled: true, otel_endpoint: '{address}'")
    following = asyncio.create_task(
        api.parts.telemetry.metrics.follow(api.services.requests.metrics.points), name="push"
    )
    await wait_until_async(lambda: bool(made.metrics), 30, "the metrics")
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_nothing_is_sent_without_the_setting(api: Api, receiver: tuple[OtlpReceiver, str]) -> None:
    made, address = receiver
    await configure(api, f"otel_endpoint: '{address}', traces_enabled: true")
    await push(api)
    await configure(api, "metrics_push_enabled: true")
    await push(api)
    assert made.metrics == []
    (condition,) = await api.parts.telemetry.metrics.conditions()
    assert (condition.reference, "otel_endpoint" in condition.hint) == ("metrics-not-sent", True)


async def test_a_receiver_that_refuses_is_a_condition_until_it_accepts(
    api: Api, receiver: tuple[OtlpReceiver, str]
) -> None:
    made, address = receiver
    await configure(api, f"metrics_push_enabled: true, otel_endpoint: '{address}'")
    sending = api.parts.telemetry.metrics
    made.status = 503
    with pytest.raises(Unavailable, match="503"):
        await push(api)
    assert [one.reference for one in await sending.conditions()] == ["metrics-not-sent"]
    made.status = 400
    await push(api)  # refused for good: said once, and tried again with the next state
    assert "400" in (await sending.conditions())[0].what
    made.status = 200
    await push(api)
    assert await sending.conditions() == ()


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/tenant/v1/traces/", "http://localhost:4318/tenant/v1/metrics"),
        ("http://localhost:4318/v1/metrics", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/own", "http://localhost:4318/own"),
    ],
)
def test_the_url_of_metrics(endpoint: str, url: str) -> None:
    assert signal_url(endpoint, Signal.METRICS) == url
