"""Retention at the API: what would be removed, keeping a job, and what is said about files that were removed."""

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.bootstrap.health import Observed, _Workers
from danube_pkg.core.health.repairs import Repair
from danube_pkg.core.jobs.job import Job
from tests.edges.http.api import Api, Caller
from tests.support.git_worker import GIT_WORKER

DAY = 86400.0


async def old_job(api: Api, days: float) -> Job:
    """A job that ended so many days ago, with a log."""
    at = api.parts.store.clock.now() - days * DAY
    job = await api.job("app", created_at=at, started_at=at, finished_at=at)
    # The time in an id counts too, so the id is one of that time.
    old = f"{'0' * 10}{job.id[10:]}"
    api.write("UPDATE jobs SET id = ? WHERE id = ?", old, job.id)
    await api.log(old, b"hello\n")
    found = await api.parts.store.jobs.load_job(old)
    assert found is not None
    return found


async def with_pipeline(api: Api) -> Caller:
    api.team("core")
    api.pipeline("app", owner="core")
    return await api.caller("alice", core="member")


async def test_an_old_log_is_listed_removed_and_reported_as_removed(api: Api) -> None:
    alice = await with_pipeline(api)
    await api.parts.retention.check()
    job = await old_job(api, 40)
    plan = (await api.local.get("/api/v1/system/retention")).json
    assert [(one["job"], one["kind"], one["why"], one["age_days"]) for one in plan["removals"]] == [
        (job.id, "logs", "age", 40.0)
    ]
    assert plan["problem"] == ""
    assert (await alice.get(f"/api/v1/jobs/{job.id}/log")).body == b"hello\n"
    assert (await api.local.post("/api/v1/system/reap", {})).json["count"] == 1
    answer = await alice.get(f"/api/v1/jobs/{job.id}/log")
    assert (answer.status, answer.reference) == (404, "log-removed")
    assert (await alice.get(f"/api/v1/jobs/{job.id}/keep")).json["log_removed_at"] is not None


async def test_a_kept_job_keeps_its_log_until_that_is_undone(api: Api) -> None:
    alice = await with_pipeline(api)
    await api.parts.retention.check()
    job = await old_job(api, 40)
    assert (await alice.send("PUT", f"/api/v1/jobs/{job.id}/keep")).json["kept_by"] == "alice@example.com"
    assert (await api.local.post("/api/v1/system/reap", {})).json["count"] == 0
    assert (await alice.send("DELETE", f"/api/v1/jobs/{job.id}/keep")).json["kept_by"] == ""
    assert (await api.local.post("/api/v1/system/reap", {})).json["count"] == 1


async def test_artifacts_that_were_removed_say_so(api: Api) -> None:
    alice = await with_pipeline(api)
    await api.parts.retention.check()
    job = await old_job(api, 20)
    directory = api.path / "artifacts" / job.id
    directory.mkdir()
    (directory / "report").write_bytes(b"x")
    api.write("INSERT INTO artifacts VALUES ('a', ?, 'report', 'report', 1, 0, 'abc', '')", job.id)
    assert (await alice.get(f"/api/v1/jobs/{job.id}/artifacts/report")).body == b"x"
    assert (await api.local.post("/api/v1/system/reap", {})).json["freed_bytes"] == 1
    assert (await alice.get(f"/api/v1/jobs/{job.id}/artifacts/report")).reference == "artifact-removed"
    assert [one["name"] for one in (await alice.get(f"/api/v1/jobs/{job.id}/artifacts")).json["artifacts"]] == [
        "report"
    ]


async def test_a_low_disk_removes_what_is_due_first(api: Api) -> None:
    alice = await with_pipeline(api)
    await api.parts.retention.check()
    job, parts = await old_job(api, 40), api.parts
    mirrors = GitSources(api.path / "mirrors", worker=GIT_WORKER).mirrors
    observed = Observed(
        parts.store, parts.jobs, mirrors, parts.configuration, None, parts.audit, retention=parts.retention
    )
    await _Workers(observed).by_repair()[Repair.MAKE_ROOM]()
    assert (await alice.get(f"/api/v1/jobs/{job.id}/log")).reference == "log-removed"
