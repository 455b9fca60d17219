"""`/metrics`: the specification's names, and whose pipelines are named."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.metrics.definitions import METRICS, SPECIFIED, Metric
from danube_pkg.edges.http.metrics.server_metrics import JOB_BUCKETS, PRIVATE
from danube_pkg.kit.records import replace
from danube_pkg.kit.tallies import MAX_LABELS, OTHER, Tally
from tests.edges.http.api import Api, Caller

Samples = Mapping[tuple[str, ...], float]


async def scraped(caller: Caller) -> Samples:
    answer = await caller.get("/metrics")
    assert answer.status == 200, answer.body
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


@pytest.fixture
async def alice(api: Api) -> Caller:
    api.team("core")
    for name in ("app", "secret-plans"):
        api.pipeline(name, owner="core" if name == "app" else "")
    return await api.caller("alice", core="admin")


async def end_job(api: Api, pipeline: str, status: Status, seconds: float) -> None:
    """A job that the engine closes."""
    job = await api.open_job(pipeline)
    closed = replace(job, phase=Phase.CLOSED, status=status, started_at=100.0, finished_at=100.0 + seconds)
    api.services.requests.metrics.job_changed(job)
    api.services.requests.metrics.job_changed(closed)


def exposed(metric: Metric) -> str:
    """The name of the family: a counter's samples end in `_total`."""
    return metric.name.removesuffix("_total")


async def test_every_metric_exists_with_its_kind_text_and_labels(api: Api, alice: Caller) -> None:
    await end_job(api, "app", Status.SUCCESS, 1.0)
    await api.local.get("/health/ready")
    text = (await api.anonymous.get("/metrics")).body.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for one in METRICS:
        family = families[exposed(one)]
        assert (family.type, family.documentation) == (one.kind, one.text)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(one.labels), one.name
    unknown = {name for name in families if name.startswith("danube_")} - {exposed(one) for one in METRICS}
    assert not unknown, "define them in edges/http/metrics/definitions.py"


async def test_the_specified_metrics_exist_before_anything_has_happened(api: Api) -> None:
    text = (await api.anonymous.get("/metrics")).body.decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {exposed(one) for one in SPECIFIED} <= families


async def test_the_queue_the_steps_and_the_health_are_measured(api: Api, alice: Caller) -> None:
    waiting = await api.open_job("app")
    await api.open_job("app", fork=True)  # waits for an approval, and for nothing else
    step = Step("01", 1, "test", "host", phase=StepPhase.ENDED, started_at=10.0, finished_at=13.0)
    closed = replace(waiting, phase=Phase.CLOSED, started_at=waiting.created_at + 7, finished_at=None, steps=(step,))
    api.services.requests.metrics.job_changed(closed)
    api.services.requests.metrics.lag.observe(0.05)
    api.services.health.upkeep.outcomes.count("make-room done")
    api.parts.jobs.work.reconnects.count("step")
    await api.local.get("/health/ready")
    found = await scraped(alice)
    assert found["danube_queue_length",] == 1
    assert 0 <= found["danube_queue_oldest_seconds",] < 600
    assert found["danube_queue_wait_seconds_sum",] == pytest.approx(7)
    assert found["danube_step_duration_seconds_sum", "app"] == 3.0
    assert found["danube_event_loop_lag_seconds_count",] >= 1
    assert found["danube_repairs_total", "done", "make-room"] == 1
    assert found["danube_step_reconnects_total",] == 1
    assert found["danube_step_followers",] == found["danube_queue_held",] == 0
    assert (found["danube_subsystem_ready", "database"], found["danube_subsystem_ready", "configuration"]) == (1, 0)
    assert 0 < found["danube_disk_free_bytes",] <= found["danube_disk_size_bytes",]


async def test_the_memory_of_secrets_is_watched(api: Api) -> None:
    before = (await scraped(api.anonymous))["danube_secret_cache_bytes",]
    await api.services.secrets.known.hold("token", b"x" * 100)
    assert (await scraped(api.anonymous))["danube_secret_cache_bytes",] == before + 100
    api.services.secrets.known.release("token")
    assert (await scraped(api.anonymous))["danube_secret_cache_bytes",] == before


async def test_ended_jobs_are_counted_once_with_their_durations(api: Api, alice: Caller) -> None:
    await end_job(api, "app", Status.SUCCESS, 45.0)
    await end_job(api, "app", Status.TIMEOUT, 4000.0)
    found = await scraped(alice)
    assert found["danube_jobs_total", "app", "success"] == found["danube_jobs_total", "app", "timeout"] == 1
    assert found["danube_job_timeouts_total", "app"] == 1
    assert found["danube_job_duration_seconds_sum", "app"] == 4045.0
    assert found["danube_job_duration_seconds_count", "app"] == 2
    # The samples are keyed by sorted labels: le, pipeline.
    assert [found["danube_job_duration_seconds_bucket", le, "app"] for le in ("30", "60", "7200")] == [0, 1, 2]
    assert len(JOB_BUCKETS) == 10


async def test_pipelines_are_named_for_callers_who_may_see_them(api: Api, alice: Caller) -> None:
    for pipeline in ("app", "secret-plans", "secret-plans"):
        await end_job(api, pipeline, Status.FAILURE, 1.0)
    assert {
        key[1:]: value for key, value in (await scraped(api.anonymous)).items() if key[0] == "danube_jobs_total"
    } == {(PRIVATE, "failure"): 3}
    found = await scraped(alice)
    assert (found["danube_jobs_total", "app", "failure"], found["danube_jobs_total", PRIVATE, "failure"]) == (1, 2)
    found = await scraped(api.local)
    assert found["danube_jobs_total", "secret-plans", "failure"] == 2
    wrong = Caller("x", api.address, headers={"authorization": "Bearer dt1_wrong"})
    assert (await wrong.get("/metrics")).status == 401


async def test_the_configuration_names_all_pipelines_or_public_ones(api: Api) -> None:
    config = (
        "{apiVersion: danube.dev/v1, kind: Config, metadata: {name: g}, spec: {observability: {metrics_pipeline_names: NAMES}}}"
        "\n---\n{apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: open}, spec: {repository: /srv/x, badge: true}}"
        "\n---\n{apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: closed}, spec: {repository: /srv/x}}\n"
    )
    found = {}
    for names in ("false", "true"):
        (api.path / "config" / "config.yaml").write_text(config.replace("NAMES", names))
        assert (await api.parts.configuration.sync()).ok
        for pipeline in ("open", "closed"):
            await end_job(api, pipeline, Status.SUCCESS, 1.0)
        found[names] = {key[1] for key in await scraped(api.anonymous) if key[0] == "danube_jobs_total"}
    assert found == {"false": {"open", PRIVATE}, "true": {"open", "closed"}}


async def test_queries_syncs_secrets_and_logs_are_counted(api: Api, alice: Caller) -> None:
    before = await scraped(alice)
    assert (await api.parts.configuration.sync()).ok
    api.services.secrets.requests.count("app")
    job = await api.job("app")
    await api.log(job.id, b"ten bytes\n")
    after = await scraped(alice)
    assert after["danube_cac_sync_total", "success"] == 1
    assert after["danube_cac_sync_last_success",] > 1e9
    assert after["danube_secret_requests_total", "app"] == 1
    assert after["danube_log_bytes_written_total",] == 10
    for operation in ("read", "write"):
        assert after["danube_database_queries_total", operation] > before["danube_database_queries_total", operation]


def test_labels_are_bounded() -> None:
    tally = Tally()
    for number in range(MAX_LABELS + 5):
        tally.count(f"image-{number}")
    tally.count("image-1")
    counts = tally.by_label()
    assert (len(counts), counts[OTHER], counts["image-1"]) == (MAX_LABELS + 1, 5, 2)


async def test_metrics_are_readable_by_prometheus(api: Api, alice: Caller) -> None:
    await alice.get("/api/v1/jobs")
    await alice.get("/api/v1/nothing")
    await api.open_job("app")
    await api.local.post("/api/v1/system/drain")
    answer = await api.anonymous.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert found["danube_http_requests_total", "/api/v1/jobs", "200"] == 1
    assert found["danube_http_requests_total", "", "404"] == 1
    assert found["danube_jobs_open", "queued"] == 1
    assert found["danube_draining",] == 1
    assert found["process_resident_memory_bytes",] > 0
    assert found["danube_http_request_seconds_count",] == 3
