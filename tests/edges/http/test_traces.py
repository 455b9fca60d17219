"""Traces reach a receiver of OTLP over HTTP, without secrets and addresses, and cost nothing where they are off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Phase
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.reasons import Status
from danube_pkg.core.traces.spans import trace_id_of
from danube_pkg.kit.records import replace
from danube_pkg.services.traces import BATCH_SPANS, WAITING_SPANS
from tests.edges.http.api import Api
from tests.support.otlp_collector import PROGRAMS, through_collector
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver

SECRET = b"a-secret-value-of-the-server"


@pytest.fixture(params=PROGRAMS)
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[OtlpReceiver, str]]:
    """What a receiver got, and where it is sent: to the receiver, or to a collector before it."""
    async with otlp_receiver() as (made, address):
        with through_collector(request.param, address, tmp_path) as sent_to:
            yield made, sent_to


@pytest.fixture(autouse=True)
def pipeline(api: Api) -> None:
    api.pipeline("app")


async def configure(api: Api, observability: str) -> None:
    config = f"{{apiVersion: danube.dev/v1, kind: Config, metadata: {{name: g}}, spec: {{observability: {{{observability}}}}}}}"
    (api.path / "config" / "config.yaml").write_text(config)
    assert (await api.parts.configuration.sync()).ok


async def test_a_job_and_requests_are_received_without_secrets(api: Api, receiver: tuple[OtlpReceiver, str]) -> None:
    made, address = receiver
    await configure(api, f"traces_enabled: true, otel_endpoint: '{address}'")
    await api.services.secrets.known.hold("token", SECRET)
    tracer = api.services.requests.tracer
    step = Step("1", 1, f"deploy with {SECRET.decode()} for bob@example.com", "host", phase=StepPhase.ENDED)
    job = await api.job("app", steps=(replace(step, started_at=1.0, finished_at=2.0, status=Status.SUCCESS),))
    tracer.job_changed(replace(job, phase=Phase.RUNNING), None)  # not its last state
    tracer.job_changed(job, None)
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    await api.local.get("/api/v1/users/bob@example.com", traceparent=parent)
    await api.local.get("/api/v1/pipelines")
    await tracer.send_waiting()
    names = {one["name"]: one for one in made.spans}
    assert {"job app", "queue", "step deploy with *** for ***"} <= names.keys()
    assert names["job app"]["traceId"] == trace_id_of(job.id)
    inner = [one for one in made.spans if one["traceId"] == "a" * 32]
    assert [one["parentSpanId"] for one in inner] == ["b" * 16]
    assert names["GET /api/v1/pipelines"]["kind"] == 2
    assert SECRET not in made.raw
    assert b"example.com" not in made.raw
    (service,) = [one["value"] for one in made.resources[0]["attributes"] if one["key"] == "service.name"]
    assert service == {"stringValue": "danube"}
    assert tracer.outcomes.by_label()["sent"] == len(made.spans)


async def test_nothing_is_kept_or_sent_without_the_setting(api: Api) -> None:
    job = await api.job("app")
    tracer = api.services.requests.tracer
    for observability in ("traces_enabled: false", "traces_enabled: true"):
        await configure(api, observability)
        tracer.job_changed(job, None)
        await api.local.get("/api/v1/pipelines")
        assert not tracer._waiting
        assert tracer.environment(job, 1) == {}
    (condition,) = await tracer.conditions()  # it is enabled, and has no receiver
    assert "otel_endpoint" in condition.hint


async def test_a_receiver_that_is_unreachable_is_a_condition_and_nothing_is_lost(
    api: Api, receiver: tuple[OtlpReceiver, str]
) -> None:
    made, address = receiver
    await configure(api, f"traces_enabled: true, otel_endpoint: '{address}'")
    tracer, job = api.services.requests.tracer, await api.job("app")
    made.status = 503
    tracer.job_changed(job, None)
    waiting = len(tracer._waiting)
    with pytest.raises(Exception, match="503"):
        await tracer.send_waiting()
    assert [one.reference for one in await tracer.conditions()] == ["traces-not-sent"]
    assert len(tracer._waiting) == waiting
    made.status = 200
    await tracer.send_waiting()
    assert len(made.spans) >= waiting
    assert await tracer.conditions() == ()
    made.status = 400
    tracer.job_changed(job, None)
    await tracer.send_waiting()  # refused for good: dropped, and counted
    assert tracer.outcomes.by_label()["dropped"] == len(
        [one for one in made.spans if one["traceId"] == trace_id_of(job.id)]
    )


async def test_what_waits_is_bounded_and_the_ratio_is_kept(api: Api) -> None:
    await configure(api, "traces_enabled: true, otel_endpoint: 'http://127.0.0.1:9', traces_sample_ratio: 1")
    tracer = api.services.requests.tracer
    for _ in range(WAITING_SPANS + 7):
        tracer.request_done("GET", "/", 200, 0.1, "")
    assert len(tracer._waiting) <= WAITING_SPANS
    assert tracer.outcomes.by_label()["dropped"] >= 7
    assert BATCH_SPANS < WAITING_SPANS
    tracer._waiting.clear()
    await configure(api, "traces_enabled: true, otel_endpoint: 'http://127.0.0.1:9', traces_sample_ratio: 0")
    tracer.request_done("GET", "/", 200, 0.1, "")
    assert not tracer._waiting
    job = await api.job("app")
    assert tracer.environment(job, COORDINATOR_SEQUENCE)["TRACEPARENT"].endswith("-00")


async def test_the_port_of_the_other_protocol_is_named(api: Api) -> None:
    await configure(api, "traces_enabled: true, otel_endpoint: 'http://127.0.0.1:4317'")
    tracer = api.services.requests.tracer
    tracer.request_done("GET", "/", 200, 0.1, "")
    with pytest.raises(Exception, match="cannot be reached"):
        await asyncio.wait_for(tracer.send_waiting(), 20)
    (condition,) = await tracer.conditions()
    assert "port 4318" in condition.hint
