"""The egress ledger of a job over HTTP: destinations, pages of contacts, masked secrets."""

import pytest

from danube_pkg.core.egress.ledger import (
    Contact,
    Way,
    encode_decision,
    encode_end,
)
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from tests.edges.http.api import Api, Caller

REACHED = Contact(1.0, "p-1", Way.CONNECT, 1, "files.example", 443, Verdict.ALLOWED, EgressReason.LISTED, "8.8.8.8")
REFUSED = Contact(
    2.0, "p-2", Way.CONNECT, 2, "a-secret-value.evil.example", 443, Verdict.REFUSED, EgressReason.NOT_LISTED,
    allow=("a-secret-value.evil.example",),
)  # fmt: skip


@pytest.fixture
async def alice(api: Api) -> Caller:
    api.team("core")
    api.pipeline("app", owner="core")
    return await api.caller("alice", core="admin")


async def job_with(api: Api, *contacts: Contact) -> Job:
    settings = PipelineSettings("/nowhere", network=Network.ALLOWLIST, egress_allowlist=("*.example",))
    job = await api.job("app", settings=settings)
    lines = [encode_decision(job.id, contact) for contact in contacts]
    ends = [encode_end(job.id, contact) for contact in contacts if contact.ended_at]
    (api.path / "logs" / f"{job.id}.egress").write_bytes(b"".join(lines + ends))
    return job


async def test_a_job_has_destinations_and_contacts(api: Api, alice: Caller) -> None:
    ended = replace(REACHED, ended_at=3.0, sent_bytes=10, received_bytes=20)
    job = await job_with(api, ended, replace(ended, connection="p-3", time=4.0), REFUSED)
    found = (await alice.get(f"/api/v1/jobs/{job.id}/egress")).json
    assert (found["network"], found["allowlist"], found["needed_allowlist"]) == (
        "allowlist",
        ["*.example"],
        ["files.example"],
    )
    first, second = found["destinations"]
    assert (first["host"], first["contacts"], first["sent_bytes"], first["received_bytes"]) == (
        "files.example",
        2,
        20,
        40,
    )
    assert first["addresses"] == ["8.8.8.8"]
    assert (second["step"], second["verdict"], second["reason"]) == (2, "refused", "not-listed")
    assert "no line of the allowlist" in second["message"]
    assert [one["ended_at"] for one in found["contacts"]] == ["1970-01-01T00:00:03.000+00:00"] * 2 + [None]


async def test_contacts_are_paged_and_filtered(api: Api, alice: Caller) -> None:
    job = await job_with(api, *(replace(REACHED, connection=f"q-{number}") for number in range(5)), REFUSED)
    path, seen, cursor = f"/api/v1/jobs/{job.id}/egress", [], 0
    while cursor is not None:
        page = (await alice.get(f"{path}?limit=2&cursor={cursor}")).json
        seen += page["contacts"]
        cursor = page["cursor"]
    assert [one["host"] for one in seen] == ["files.example"] * 5 + [REFUSED.host]
    refused = (await alice.get(f"{path}?verdict=refused")).json["contacts"]
    assert [one["host"] for one in refused] == [REFUSED.host]
    assert (await alice.get(f"{path}?verdict=maybe")).status == 400


async def test_a_secret_in_a_hosts_name_is_masked(api: Api, alice: Caller) -> None:
    await api.parts.jobs.secrets.set(SecretName("app", "TOKEN"), b"a-secret-value", "alice")
    job = await job_with(api, REFUSED)
    answer = await alice.get(f"/api/v1/jobs/{job.id}/egress")
    assert b"a-secret-value" not in answer.body
    assert answer.json["contacts"][0]["host"] == "***.evil.example"


async def test_a_job_without_connections_has_an_empty_ledger(api: Api, alice: Caller) -> None:
    job = await api.job("app")
    found = (await alice.get(f"/api/v1/jobs/{job.id}/egress")).json
    assert (found["network"], found["destinations"], found["contacts"], found["cursor"]) == ("none", [], [], None)
