"""Artifacts are released by their provenance, and the provenance is served as it was stored."""

import json
from hashlib import sha256

from danube_pkg.adapters.keys.signing import is_signed_by
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.provenance.builders import BASE, BUILD_TYPE, KINDS, RELEASE_BUILD_TYPE, builder_uri
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, pre_authentication_encoding, read_envelopes
from danube_pkg.core.provenance.rebuilds import REBUILD_TYPE
from danube_pkg.core.reasons import Status
from tests.edges.http.api import Api

CONTENT = b"what was built"
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


async def a_job(api: Api, **changes: object) -> Job:
    """A job of `app` with one artifact, `report`."""
    job = await api.job("app", **changes)
    directory = api.path / "artifacts" / job.id
    directory.mkdir(parents=True)
    (directory / "report").write_bytes(CONTENT)
    api.write(
        "INSERT INTO artifacts (id, job_id, name, path, size_bytes, created_at, sha256) VALUES (?, ?, ?, ?, ?, 0, ?)",
        f"a-{job.id}",
        job.id,
        "report",
        "report",
        len(CONTENT),
        sha256(CONTENT).hexdigest(),
    )
    return job


async def signed(api: Api, job: Job) -> Envelope:
    """The job's statement, stored."""
    signature = await api.parts.store.signing.sign(pre_authentication_encoding(PAYLOAD_TYPE, PAYLOAD))
    envelope = Envelope(PAYLOAD, PAYLOAD_TYPE, (signature,))
    api.write("INSERT INTO provenance VALUES (?, ?, ?, '')", job.id, envelope.encode(), signature.key_id)
    return envelope


async def test_an_artifact_is_released_when_its_job_has_ended(api: Api) -> None:
    api.pipeline("app")
    job = await a_job(api, status=Status.RUNNING, phase=Phase.SIGNING)
    for path in ("artifacts/report", "provenance", "artifacts/report/provenance"):
        answer = await api.local.get(f"/api/v1/jobs/{job.id}/{path}")
        assert (answer.status, answer.reference) == (409, "artifact-not-released")
    listed = (await api.local.get(f"/api/v1/jobs/{job.id}/artifacts")).json
    assert [one["name"] for one in listed["artifacts"]] == ["report"]
    assert listed["provenance"] is None


async def test_the_stored_statement_is_served_for_the_job_and_for_the_artifact(api: Api) -> None:
    api.pipeline("app")
    job = await a_job(api)
    envelope = await signed(api, job)
    key = api.parts.store.signing.current
    assert (await api.local.get(f"/api/v1/jobs/{job.id}/artifacts/report")).body == CONTENT
    for path in ("provenance", "artifacts/report/provenance"):
        answer = await api.local.get(f"/api/v1/jobs/{job.id}/{path}")
        assert answer.status == 200
        assert answer.headers["content-disposition"].endswith(".intoto.jsonl")
        assert answer.body.endswith(b"\n")
        assert answer.body.count(b"\n") == 1, "one envelope in each line"
        assert read_envelopes(answer.body) == [envelope]
        bundle = await api.local.get(f"/api/v1/jobs/{job.id}/{path}?format=bundle")
        assert bundle.json["verificationMaterial"]["publicKey"]["hint"] == key.id
        (found,) = read_envelopes(bundle.body)
        assert is_signed_by(key, found.signatures[0].value, found.signed_bytes)
    listed = (await api.local.get(f"/api/v1/jobs/{job.id}/artifacts")).json
    assert listed["provenance"] == {"keyid": key.id, "problem": ""}


async def test_an_artifact_that_could_not_be_signed_is_never_released(api: Api) -> None:
    api.pipeline("app")
    job = await a_job(api, status=Status.FAILURE)
    api.write("INSERT INTO provenance VALUES (?, x'', '', 'the token was removed')", job.id)
    for path in ("artifacts/report", "provenance"):
        answer = await api.local.get(f"/api/v1/jobs/{job.id}/{path}")
        assert (answer.status, answer.reference) == (409, "artifact-not-signed")
        assert "the token was removed" in json.dumps(answer.json)


async def test_a_job_from_before_provenance_keeps_its_artifacts_and_says_so(api: Api) -> None:
    api.pipeline("app")
    job = await a_job(api)
    assert (await api.local.get(f"/api/v1/jobs/{job.id}/artifacts/report")).body == CONTENT
    answer = await api.local.get(f"/api/v1/jobs/{job.id}/provenance")
    assert (answer.status, answer.reference) == (404, "provenance-missing")
    assert "before this server signed" in json.dumps(answer.json)


async def test_each_uri_of_provenance_is_a_page_of_the_server(api: Api) -> None:
    uris = [BUILD_TYPE, RELEASE_BUILD_TYPE, REBUILD_TYPE, *map(builder_uri, KINDS)]
    for uri in uris:
        answer = await api.local.get(uri.removeprefix(BASE))
        assert (answer.status, answer.headers["content-type"]) == (200, "text/markdown; charset=utf-8"), uri
        assert uri in answer.body.decode(), uri
    for path in ("/builders/other/v1", "/builders/..%2fverify/v1", "/buildtypes/sandbox/v1"):
        assert (await api.local.get(path)).status == 404


async def test_a_job_that_cannot_be_rebuilt_says_why(api: Api) -> None:
    api.pipeline("app")
    job = await a_job(api, status=Status.FAILURE)
    answer = await api.local.post(f"/api/v1/jobs/{job.id}/rebuild", {})
    assert (answer.status, answer.reference) == (409, "rebuild-impossible")
    answer = await api.local.get(f"/api/v1/jobs/{job.id}/rebuild")
    assert (answer.status, answer.reference) == (409, "not-a-rebuild")
