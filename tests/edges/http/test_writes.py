"""What all writes have: an entry in the audit log, and an answer that can be repeated with an Idempotency-Key."""

import asyncio

import pytest

from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.services.identity import passwords
from tests.edges.http.api import COMMIT, Api, Caller
from tests.services.stores import no_token


@pytest.fixture
async def alice(api: Api) -> Caller:
    api.team("core")
    api.pipeline("app", owner="core")
    return await api.caller("alice", core="admin")


async def entries(api: Api) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await api.local.get("/api/v1/audit?limit=200")).json["entries"]
    return found


async def test_each_write_and_each_refusal_is_in_the_audit(api: Api, alice: Caller) -> None:
    await alice.send("PUT", "/api/v1/pipelines/app/secrets/KEY", data=b"a secret value")
    await alice.post("/api/v1/system/drain")
    await api.local.post("/api/v1/system/drain")
    await api.anonymous.post("/auth/password", {"email": "alice@example.com", "password": "wrong"})
    await alice.get("/api/v1/pipelines/app/secrets")
    found = [(one["actor"], one["action"], one["target"], one["outcome"]) for one in await entries(api)]
    assert found == [
        ("alice@example.com", "see-secret-names", "app", "done"),
        ("alice@example.com", "log-in", "", "login-failed"),
        ("local-administrator", "drain", "", "done"),
        ("alice@example.com", "drain", "", "not-allowed"),
        ("alice@example.com", "set-secrets", "app KEY", "done"),
    ]
    assert all(one["address"] and one["request_id"] for one in await entries(api))
    assert b"a secret value" not in (await api.local.get("/api/v1/audit")).body


async def test_a_job_that_reads_a_secret_is_in_the_audit_once(api: Api, alice: Caller) -> None:
    await alice.send("PUT", "/api/v1/pipelines/app/secrets/KEY", data=b"a secret value")
    job = await api.open_job("app")
    for _ in range(2):  # a coordinator repeats a call whose answer was lost
        assert await api.parts.jobs.secrets.read_for_job(job, 7, "KEY", no_token) == b"a secret value"
    read = [one for one in await entries(api) if one["action"] == "read-secret"]
    assert [(one["actor"], one["target"]) for one in read] == [(f"job {job.id}", "app/KEY")]
    assert (await api.local.get("/api/v1/audit/check")).json["whole"]


async def test_the_servers_own_use_of_a_secret_is_in_the_audit_once_for_each_value(api: Api) -> None:
    for value in (b"a secret value", b"another value"):
        await api.local.send("PUT", "/api/v1/secrets/TOKEN", data=value)
        for user in ("webhooks of github", "the rule forge", "the rule forge"):
            assert await api.parts.jobs.secrets.read_for_server("TOKEN", user) == value
    read = [one for one in await entries(api) if one["action"] == "read-secret"]
    assert [(one["actor"], one["target"], one["details"]) for one in read] == [
        ("server", "TOKEN", {"for": user}) for user in ("the rule forge", "webhooks of github") * 2
    ]


async def test_anonymous_requests_cannot_fill_the_audit_log(api: Api) -> None:
    for _ in range(passwords.ACCOUNT_TRIES + 3):
        await api.anonymous.post("/auth/password", {"email": "alice@example.com", "password": "wrong"})
        await api.anonymous.post("/api/v1/system/drain")
        await api.anonymous.post("/dex/token")
        await api.anonymous.post("/hooks/github")
    assert len(await entries(api)) == passwords.ACCOUNT_TRIES


async def test_rows_of_the_audit_log_cannot_be_changed_or_removed(api: Api, alice: Caller) -> None:
    for _ in range(5):
        await alice.post("/api/v1/pipelines/app/jobs")
    assert (await api.local.get("/api/v1/audit/check")).json == {"whole": True, "entries": 5, "broken_at": None}
    with pytest.raises(Exception, match="only grows"):
        api.write("DELETE FROM audit WHERE sequence = 3")
    with pytest.raises(Exception, match="only grows"):
        api.write("UPDATE audit SET actor = 'mallory' WHERE sequence = 3")


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ("DELETE FROM audit WHERE sequence = 3", 3),
        ("DELETE FROM audit WHERE sequence = 5", 5),
        ("DELETE FROM audit WHERE sequence = 1", 1),
        ("UPDATE audit SET actor = 'mallory' WHERE sequence = 2", 2),
        ("UPDATE audit SET sequence = 9 WHERE sequence = 5", 5),
    ],
)
async def test_a_check_finds_rows_that_were_changed_behind_the_triggers(
    api: Api, alice: Caller, change: str, broken_at: int
) -> None:
    for _ in range(5):
        await alice.post("/api/v1/pipelines/app/jobs")
    api.write("DROP TRIGGER audit_keeps_rows")
    api.write("DROP TRIGGER audit_keeps_content")
    api.write(change)
    state = (await api.local.get("/api/v1/audit/check")).json
    assert (state["whole"], state["broken_at"]) == (False, broken_at)


async def test_the_same_key_gives_the_same_job(api: Api, alice: Caller) -> None:
    path = "/api/v1/pipelines/app/jobs"
    first, second = [await alice.post(path, {"ref": "main"}, idempotency_key="one") for _ in range(2)]
    assert first.status == second.status == 201
    assert first.json == second.json
    assert "idempotency-replayed" in second.headers
    assert (await alice.post(path, {"ref": "main"}, idempotency_key="two")).json["id"] != first.json["id"]
    reused = await alice.post(path, {"ref": "other"}, idempotency_key="one")
    assert (reused.status, reused.reference) == (422, "idempotency-key-reused")


async def test_a_lost_answer_does_not_make_a_second_job(api: Api, alice: Caller) -> None:
    """The server was killed between the job and its answer: the key is reserved, but has no answer."""
    path = "/api/v1/pipelines/app/jobs"
    first = await alice.post(path, {"ref": "main"}, idempotency_key="one")
    api.write("UPDATE idempotency SET status = NULL, body = NULL")
    again = await alice.post(path, {"ref": "main"}, idempotency_key="one")
    assert again.json["id"] == first.json["id"]


async def test_concurrent_requests_with_one_key_make_one_job(api: Api, alice: Caller) -> None:
    path = "/api/v1/pipelines/app/jobs"
    answers = await asyncio.gather(*(alice.post(path, {}, idempotency_key="one") for _ in range(10)))
    made = {answer.json["id"] for answer in answers if answer.status == 201}
    assert len(made) == 1
    assert {answer.status for answer in answers} <= {201, 409}


async def test_a_refused_request_releases_its_key(api: Api, alice: Caller) -> None:
    path = "/api/v1/pipelines/app/jobs"
    assert (await alice.post(path, {"params": 1}, idempotency_key="one")).status == 400
    assert (await alice.post(path, {"params": {}}, idempotency_key="one")).status == 201


async def test_draining_refuses_new_work_until_it_is_resumed(api: Api, alice: Caller) -> None:
    path = "/api/v1/pipelines/app/jobs"
    assert (await api.local.post("/api/v1/system/drain")).json["by"] == "local-administrator"
    refused = await alice.post(path)
    assert (refused.status, refused.reference) == (503, "draining")
    assert int(refused.headers["retry-after"]) > 0
    assert (await api.anonymous.get("/health/ready")).json["status"] == "draining"
    assert (await api.anonymous.get("/health")).status == 200
    await api.local.post("/api/v1/system/resume")
    assert (await alice.post(path)).status == 201
    assert (await api.anonymous.get("/health/ready")).json["status"] != "draining"


async def test_an_approval_is_for_one_commit(api: Api, alice: Caller) -> None:
    job = await api.open_job("app", fork=True)
    path = f"/api/v1/jobs/{job.id}/approve"
    assert (await alice.post(path, {"commit_sha": "a" * 40})).reference == "approval-of-another-commit"
    assert "danube approve" in (await alice.get(f"/api/v1/jobs/{job.id}/explanation")).json["hint"]
    approved = await alice.post(path, {"commit_sha": COMMIT})
    assert (approved.status, approved.json["reason"]) == (202, "queued")
    assert (await alice.post(path, {"commit_sha": COMMIT})).reference == "approval-not-needed"


async def test_a_commit_that_is_not_known_is_null(api: Api, alice: Caller) -> None:
    job = await api.job("app", trigger=Trigger("manual", "bob"))
    (listed,) = (await alice.get("/api/v1/jobs")).json["jobs"]
    one = (await alice.get(f"/api/v1/jobs/{job.id}")).json
    assert [found["trigger"]["commit_sha"] for found in (listed, one)] == [None, None]


async def test_a_rerun_is_a_new_job_with_the_same_commit_and_parameters(api: Api, alice: Caller) -> None:
    trigger = Trigger("manual", "bob", Revision(COMMIT, "refs/heads/main", "main"), {"target": "staging"})
    job = await api.job("app", status=Status.FAILURE, reason=Reason.STEP_FAILED, trigger=trigger)
    again = (await alice.post(f"/api/v1/jobs/{job.id}/rerun")).json
    assert (again["trigger"]["commit_sha"], again["trigger"]["branch"]) == (COMMIT, "main")
    assert again["trigger"]["params"] == {"target": "staging"}
    assert again["trigger"]["rerun_of"] == job.id
    assert again["id"] != job.id


async def test_all_mistakes_in_a_body_are_reported_at_once(alice: Caller) -> None:
    refused = await alice.post("/api/v1/tokens", {"nam": "x", "scopes": ["reed"], "days": 0})
    assert refused.status == 400
    mistakes = [one["what"] for one in refused.json["findings"]]
    assert len(mistakes) == 4, mistakes
    assert refused.json["hint"]


async def test_a_start_with_a_secret_in_clear_is_refused_and_not_stored(api: Api, alice: Caller) -> None:
    """Parameters and refs are stored and shown; the answer too, with its idempotency key."""
    value = "Kx9-clear-in-a-request"
    await alice.send("PUT", "/api/v1/pipelines/app/secrets/KEY", data=value.encode())
    for body in ({"params": {"token": value}}, {"params": {f"n-{value}": "x"}}, {"ref": f"b-{value}"}):
        refused = await alice.post("/api/v1/pipelines/app/jobs", body, idempotency_key=f"{len(str(body))}")
        assert (refused.status, refused.reference) == (400, "name-holds-secret")
        assert "secrets.get" in refused.json["hint"]
    everything = b"".join(path.read_bytes() for path in api.path.rglob("*") if path.is_file())
    assert value.encode() not in everything
