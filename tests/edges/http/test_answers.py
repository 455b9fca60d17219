"""Properties of answers: compression, revalidation, ranges, security headers, documentation, metrics."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from danube_pkg.edges.http.routes import ROUTES, api_document
from tests.edges.http.api import Api, Caller, open_api
from tests.edges.http.certificates import make_certificate


@pytest.fixture
async def alice(api: Api) -> Caller:
    api.team("core")
    api.pipeline("app", owner="core")
    for _ in range(20):
        await api.job("app")
    return await api.caller("alice", core="admin")


async def test_json_is_compressed_for_clients_that_accept_it(alice: Caller) -> None:
    plain, packed = await alice.get("/api/v1/jobs"), await alice.get("/api/v1/jobs", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.body)) == plain.json
    assert "content-encoding" not in (await alice.get("/api/v1/jobs", accept_encoding="gzip;q=0, br")).headers


async def test_a_list_that_has_not_changed_is_not_sent_again(api: Api, alice: Caller) -> None:
    etag = (await alice.get("/api/v1/jobs")).headers["etag"]
    again = await alice.get("/api/v1/jobs", if_none_match=etag)
    assert (again.status, again.body) == (304, b"")
    await api.job("app")
    assert (await alice.get("/api/v1/jobs", if_none_match=etag)).status == 200


async def test_pages_are_complete_and_do_not_overlap(alice: Caller) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = (await alice.get(f"/api/v1/jobs?limit=7{f'&cursor={cursor}' if cursor else ''}")).json
        seen += [one["id"] for one in page["jobs"]]
        cursor = page["cursor"]
    assert len(seen) == len(set(seen)) == 20
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=5-", 206, b"5678\n"),
        ("bytes=-2", 206, b"8\n"),
        ("bytes=8-99", 206, b"8\n"),
        ("bytes=10-", 416, None),
        ("bytes=0-1,3-4", 200, b"012345678\n"),
        ("lines=0-1", 200, b"012345678\n"),
        (f"bytes={'9' * 5000}-", 200, b"012345678\n"),
    ],
)
async def test_ranges_of_a_log(api: Api, alice: Caller, header: str, status: int, body: bytes | None) -> None:
    job = await api.job("app")
    await api.log(job.id, b"012345678\n")
    answer = await alice.get(f"/api/v1/jobs/{job.id}/log", range=header)
    assert answer.status == status
    assert body is None or answer.body == body


async def test_ranges_of_an_artifact_if_it_is_unchanged(api: Api, alice: Caller) -> None:
    job = await api.job("app")
    kept = b"0123456789" * 1000

    async def chunks() -> AsyncIterator[bytes]:
        yield kept

    await api.parts.jobs.files.artifacts.receive(job, "notes", "notes", chunks(), lambda: None)
    path = f"/api/v1/jobs/{job.id}/artifacts/notes"
    whole = await alice.get(path)
    assert (whole.status, whole.body, whole.headers["accept-ranges"]) == (200, kept, "bytes")
    etag = whole.headers["etag"]
    assert (await alice.get(path, if_none_match=etag)).status == 304
    rest = await alice.get(path, range="bytes=9990-", if_range=etag)
    assert (rest.status, rest.body, rest.headers["content-range"]) == (206, b"0123456789", "bytes 9990-9999/10000")
    other = await alice.get(path, range="bytes=9990-", if_range='"sha256:another"')
    assert (other.status, len(other.body)) == (200, 10_000)
    assert (await alice.get(path, range="bytes=10000-")).status == 416


@pytest.mark.parametrize("part", ["log", "log/search?q=x", "log/time?at=0", "log/lines", "log/sections"])
async def test_a_log_whose_file_is_gone_is_lost_and_its_job_is_not(api: Api, alice: Caller, part: str) -> None:
    job = await api.job("app")
    await api.log(job.id, b"012345678\n")
    (api.path / "logs" / f"{job.id}.log").unlink()
    answer = await alice.get(f"/api/v1/jobs/{job.id}/{part}")
    assert (answer.status, answer.json["reference"]) == (404, "log-lost")
    assert (await alice.get(f"/api/v1/jobs/{job.id}")).status == 200


async def test_a_search_finds_the_lines_of_a_log_that_contain_a_text(api: Api, alice: Caller) -> None:
    job = await api.job("app")
    lines = [f"line {n}{' ERROR' if n % 1000 == 7 else ''}\n" for n in range(10_000)]
    await api.log(job.id, "".join(lines).encode())
    path = f"/api/v1/jobs/{job.id}/log/search?q=error"
    found = (await alice.get(path)).json
    assert [hit["line"] for hit in found["hits"]] == [n + 1 for n in range(10_000) if n % 1000 == 7]
    assert found["hits"][3]["offset"] == len("".join(lines[:3007]))
    assert found["next"] is None
    assert (await alice.get(f"{path}&case=true")).json["hits"] == []
    first = (await alice.get(f"{path}&limit=4")).json
    rest = (await alice.get(f"{path}&from={first['next']}")).json
    assert first["hits"] + rest["hits"] == found["hits"]


async def test_every_answer_has_the_security_headers(alice: Caller) -> None:
    for path in ("/health", "/api/v1/jobs", "/api/v1/nothing", "/docs", "/api/v1/jobs?limit=no"):
        headers = (await alice.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert len(headers["x-request-id"]) == 16


async def test_an_unknown_method_is_answered_with_those_that_exist(alice: Caller) -> None:
    refused = await alice.send("PATCH", "/api/v1/jobs")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_head_is_get_without_a_body(alice: Caller) -> None:
    head, get = await alice.send("HEAD", "/api/v1/jobs"), await alice.get("/api/v1/jobs")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(get.body)))


async def test_the_document_has_every_route_and_the_page_shows_it(api: Api) -> None:
    document = (await api.anonymous.get("/api/v1/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    api_routes = [route for route in ROUTES if route.documented]
    assert described == {(route.method, route.path.replace("*", "")) for route in api_routes}
    page = (await api.anonymous.get("/docs")).body.decode()
    assert all(route.path.replace("*", "") in page for route in api_routes)
    assert "<script" not in page
    assert "style=" not in page


def test_operation_ids_are_unique() -> None:
    names = [one["operationId"] for path in api_document()["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


async def test_tls_uses_a_new_certificate_and_keeps_the_last_valid_one(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key, "first.example")
    async with open_api(tmp_path, certificate=(certificate, key)) as api:
        assert api.address.startswith("https://")
        port = int(api.address.rpartition(":")[2])

        async def subject() -> str:
            return await name_of_peer(port)

        assert await subject() == "first.example"
        make_certificate(certificate, key, "second.example")
        assert await subject() == "second.example"
        certificate.write_text("not a certificate")
        assert await subject() == "second.example"
        api.user("alice")


async def name_of_peer(port: int) -> str:
    """The common name in the server's certificate, after one request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    found = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    return str(found.subject.rfc4514_string().removeprefix("CN="))
