"""The HTTP client's policy against a server that sends whatever a test wants, valid or not."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.kit.http_client import (
    ExchangeFailed,
    HttpClient,
    HttpSettings,
    Trouble,
    WholeResponse,
    environment_proxy,
    no_proxy,
)
from danube_pkg.kit.records import replace
from tests.edges.http.certificates import make_certificate
from tests.support.scripted_http import ReceivedRequest, ScriptedServer, http_response, scripted_http

DIRECT = HttpSettings("danube-test", proxy_of=no_proxy, total_seconds=20.0)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_http(lambda request: http_response()) as made:
        yield made


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that end in .invalid are unknown, or fail for now if they begin with `later`: with any network."""
    getaddrinfo = socket.getaddrinfo

    def resolve(host: str | None, *args: Any, **options: Any) -> Any:
        if host is not None and host.endswith(".invalid"):
            number = socket.EAI_AGAIN if host.startswith("later") else socket.EAI_NONAME
            raise socket.gaierror(number, "the resolver's text")
        return getaddrinfo(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


async def get(url: str, settings: HttpSettings = DIRECT, **headers: str) -> WholeResponse:
    client = HttpClient(settings)
    try:
        return await client.exchange("GET", url, headers=headers)
    finally:
        await client.close()


async def trouble_of(url: str, settings: HttpSettings = DIRECT) -> Trouble:
    with pytest.raises(ExchangeFailed) as failed:
        await get(url, settings)
    assert str(failed.value)
    return failed.value.trouble


# --- requests and responses


async def test_a_response_is_returned_whole_with_any_status(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(404, b"none", ("X-One", "1"), ("X-Two", "2"), ("x-one", "3"))
    response = await get(f"{server.url}/path")
    assert (response.status, response.body) == (404, b"none")
    assert list(response.headers)[1:] == [("content-length", "4"), ("x-one", "1"), ("x-two", "2"), ("x-one", "3")]
    assert "none" not in repr(response)
    (request,) = server.requests
    assert (request.method, request.target, request.headers["user-agent"]) == ("GET", "/path", "danube-test")


async def test_a_url_is_sent_as_it_is(server: ScriptedServer) -> None:
    await get(f"{server.url}/a%2Fb/../c?signature=%2B%2f")
    assert server.requests[0].target == "/a%2Fb/../c?signature=%2B%2f"


async def test_a_form_and_a_body_are_sent(server: ScriptedServer) -> None:
    client = HttpClient(DIRECT)
    await client.exchange("POST", server.url, form={"a": "1 2"})
    await client.exchange("POST", server.url, body=b"{}", headers={"Content-Type": "application/json"})
    await client.close()
    form, body = server.requests
    assert (form.headers["content-type"], form.body) == ("application/x-www-form-urlencoded", b"a=1+2")
    assert (body.headers["content-type"], body.body) == ("application/json", b"{}")


async def test_the_first_requests_at_once_share_one_session(server: ScriptedServer) -> None:
    client = HttpClient(DIRECT)
    await asyncio.gather(*(client.exchange("GET", server.url) for _ in range(5)))
    await client.close()
    assert len(server.requests) == 5


async def test_cookies_are_not_kept(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(200, b"", ("Set-Cookie", "a=1"))
    client = HttpClient(DIRECT)
    await client.exchange("GET", server.url)
    await client.exchange("GET", server.url)
    await client.close()
    assert all("cookie" not in request.headers for request in server.requests)


@pytest.mark.parametrize(("decompress", "accepts"), [(True, "gzip"), (False, "identity")])
async def test_a_body_is_decoded_only_if_the_settings_say_so(
    server: ScriptedServer, decompress: bool, accepts: str
) -> None:
    sent = gzip.compress(b"text")
    server.respond = lambda request: http_response(200, sent, ("Content-Encoding", "gzip"))
    response = await get(server.url, replace(DIRECT, decompress=decompress))
    assert response.body == (b"text" if decompress else sent)
    assert accepts in server.requests[0].headers["accept-encoding"]


# --- bounds


async def test_a_body_may_have_as_many_bytes_as_the_bound(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(200, b"x" * 1000)
    assert len((await get(server.url, replace(DIRECT, body_bytes=1000))).body) == 1000
    assert await trouble_of(server.url, replace(DIRECT, body_bytes=999)) is Trouble.TOO_LARGE


async def test_a_compressed_body_is_bounded_by_its_decoded_size(server: ScriptedServer) -> None:
    sent = gzip.compress(b"x" * 10_000_000)
    server.respond = lambda request: http_response(200, sent, ("Content-Encoding", "gzip"))
    assert await trouble_of(server.url, replace(DIRECT, body_bytes=100_000)) is Trouble.TOO_LARGE


async def test_a_stream_may_be_cut_at_a_limit(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(500, b"x" * 1000)
    client = HttpClient(DIRECT)
    async with client.stream("GET", server.url) as response:
        assert await response.whole(10, cut=True) == b"x" * 10
    await client.close()


@pytest.mark.parametrize("bound", ["total_seconds", "silence_seconds"])
async def test_a_server_that_does_not_answer_is_given_up(server: ScriptedServer, bound: str) -> None:
    server.respond = lambda request: None
    assert await trouble_of(server.url, replace(DIRECT, **{bound: 0.05})) is Trouble.TIMEOUT  # type: ignore[arg-type]


# --- redirects


async def test_a_redirect_is_a_response_where_none_are_followed(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(302, b"", ("Location", "/other"))
    assert (await get(server.url)).status == 302
    assert len(server.requests) == 1


async def test_redirects_are_followed_up_to_their_number(server: ScriptedServer) -> None:
    def respond(request: ReceivedRequest) -> bytes:
        number = int(request.target.lstrip("/"))
        return http_response(200, b"end") if number == 3 else http_response(307, b"", ("Location", f"/{number + 1}"))

    server.respond = respond
    assert (await get(f"{server.url}/1", replace(DIRECT, redirects=2))).body == b"end"
    assert await trouble_of(f"{server.url}/0", replace(DIRECT, redirects=2)) is Trouble.TOO_MANY_REDIRECTS


async def test_credentials_are_sent_to_the_first_origin_only(server: ScriptedServer) -> None:
    async with scripted_http(lambda request: http_response()) as other:
        targets = {"/start": "/same", "/same": f"{other.url}/elsewhere"}
        server.respond = lambda request: http_response(302, b"", ("Location", targets[request.target]))
        await get(f"{server.url}/start", replace(DIRECT, redirects=2), Authorization="Bearer x", Cookie="a=1")
        assert [request.headers.get("authorization") for request in server.requests] == ["Bearer x", "Bearer x"]
        assert not {"authorization", "cookie"} & set(other.requests[0].headers)


@pytest.mark.parametrize("target", ["ftp://user:secret@elsewhere.invalid/x", "file:///etc/passwd"])
async def test_a_redirect_to_another_scheme_is_refused(server: ScriptedServer, target: str) -> None:
    server.respond = lambda request: http_response(302, b"", ("Location", target))
    with pytest.raises(ExchangeFailed) as failed:
        await get(server.url, replace(DIRECT, redirects=2))
    assert failed.value.trouble is Trouble.REDIRECT_INSECURE
    assert "secret" not in str(failed.value)


async def test_a_redirect_to_what_is_not_a_url_is_refused(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(302, b"", ("Location", "https://[zz]/"))
    with pytest.raises(ExchangeFailed, match="redirects to what is not a URL") as failed:
        await get(server.url, replace(DIRECT, redirects=2))
    assert failed.value.trouble is Trouble.URL_INVALID


# --- proxies, names, addresses


async def test_the_proxy_is_a_function_of_the_url(server: ScriptedServer) -> None:
    proxy = f"http://user:pass@{server.host}"
    settings = replace(DIRECT, proxy_of=lambda url: proxy if "far.invalid" in url else None)
    assert (await get("http://far.invalid/x", settings)).status == 200
    assert await trouble_of("http://near.invalid/x", settings) is Trouble.NAME_UNKNOWN
    (request,) = server.requests
    assert request.target == "http://far.invalid/x"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert environment_proxy("https://forge.example.org/x") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", "near.example.org,.inside.example.org")
    assert environment_proxy("https://forge.example.org/x") == "http://proxy.example.org:3128"
    assert environment_proxy("http://forge.example.org/x") is None
    assert environment_proxy("https://near.example.org:8443/x") is None
    assert environment_proxy("https://user:pass@near.example.org/x") is None
    assert environment_proxy("https://a.inside.example.org/x") is None


async def test_netrc_is_not_read(server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    await get(server.url)
    await get(server.url, Authorization="Bearer x")
    assert [request.headers.get("authorization") for request in server.requests] == [None, "Bearer x"]


async def test_a_name_may_have_an_address_of_its_own(server: ScriptedServer) -> None:
    port = server.host.partition(":")[2]
    await get(f"http://registry.invalid:{port}/", replace(DIRECT, hosts={"registry.invalid": "127.0.0.1"}))
    assert server.requests[0].headers["host"] == f"registry.invalid:{port}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_address_that_is_not_allowed_gets_no_connection(server: ScriptedServer, host: str) -> None:
    asked: list[str] = []

    def allows(address: str) -> bool:
        asked.append(address)
        return False

    url = f"http://{host}:{server.host.partition(':')[2]}/"
    assert await trouble_of(url, replace(DIRECT, allows_address=allows)) is Trouble.ADDRESS_REFUSED
    assert "127.0.0.1" in asked
    assert server.requests == []
    assert (await get(url, replace(DIRECT, allows_address=lambda address: address == "127.0.0.1"))).status == 200


# --- failures


async def test_each_failure_has_its_kind(server: ScriptedServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert await trouble_of(f"http://127.0.0.1:{port}/") is Trouble.NOT_REACHED
    assert await trouble_of("http://name.invalid/") is Trouble.NAME_UNKNOWN
    assert await trouble_of("http://later.invalid/") is Trouble.NAME_UNRESOLVED
    for invalid in ("http://", "https://[zz]/", "https://[::1/", "https://name.invalid:99999/", "https://a..invalid/"):
        assert await trouble_of(invalid) in (Trouble.URL_INVALID, Trouble.NAME_UNKNOWN), invalid
    assert await trouble_of(f"https://{server.host}/") is Trouble.TLS
    for broken in (b"", b"no HTTP at all\r\n\r\n", http_response(200, b"whole")[:-2]):
        server.respond = lambda request, broken=broken: broken  # type: ignore[misc]
        assert await trouble_of(server.url) is Trouble.BROKEN


async def test_an_untrusted_certificate_has_its_own_kind(tmp_path: Path) -> None:
    make_certificate(tmp_path / "certificate.pem", tmp_path / "key.pem", "localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    async with scripted_http(lambda request: http_response(), tls) as server:
        assert await trouble_of(f"https://{server.host}/") is Trouble.CERTIFICATE


async def test_an_error_names_its_url_without_user_and_password() -> None:
    with pytest.raises(ExchangeFailed) as failed:
        await get("http://user:secret@name.invalid:81/path")
    assert (failed.value.url, failed.value.host) == ("http://name.invalid:81/path", "name.invalid:81")


def test_only_some_failures_are_temporary() -> None:
    temporary = {trouble for trouble in Trouble if trouble.is_temporary}
    assert temporary == {Trouble.NAME_UNRESOLVED, Trouble.NOT_REACHED, Trouble.TIMEOUT, Trouble.BROKEN}
    assert str(Trouble.NOT_REACHED) == "not reached"
