"""`/metrics`: the specification's names, and whose pipelines are named."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.metrics import JOB_BUCKETS, PRIVATE
from danube_pkg.kit.records import replace
from danube_pkg.kit.tallies import MAX_LABELS, OTHER, Tally
from tests.edges.http.api import Api, Caller

SPECIFIED: Mapping[str, tuple[str, str]] = {
    "danube_jobs": ("counter", "status pipeline"),
    "danube_job_duration_seconds": ("histogram", "pipeline"),
    "danube_active_pods": ("gauge", ""),
    "danube_database_queries": ("counter", "operation"),
    "danube_secret_requests": ("counter", "pipeline"),
    "danube_log_bytes_written": ("counter", ""),
    "danube_cac_sync": ("counter", "status"),
    "danube_cac_sync_last_success": ("gauge", ""),
    "danube_job_timeouts": ("counter", "pipeline"),
    "danube_k8s_api_calls": ("counter", "operation status"),
    "danube_dex_logins": ("counter", "status"),
    "danube_registry_pulls": ("counter", "image"),
    "danube_registry_pushes": ("counter", "image"),
}
"""The specification's metrics (a counter's samples end in `_total`), with type and labels."""

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
    api.services.metrics.job_changed(job)
    api.services.metrics.job_changed(closed)


async def test_every_metric_of_the_specification_exists_with_its_type(api: Api) -> None:
    text = (await api.anonymous.get("/metrics")).body.decode()
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    assert {name: families.get(name) for name in SPECIFIED} == {name: kind for name, (kind, _) in SPECIFIED.items()}


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
