"""Behind reverse proxies: whose word about the client's address counts, and what real proxies do to requests."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from danube_pkg.edges.http.server.body_memory import BodyMemory
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.security import client_address
from danube_pkg.edges.http.services import Site
from tests.edges.http.api import PASSWORD, Api, Caller, open_api
from tests.support.ports import free_port
from tests.support.waiting import wait_until_true

OWN = Site("https://ci.example.org")
ELSEWHERE = Site("https://ci.example.org", (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))


async def no_body(limit_bytes: int, memory: BodyMemory | None = None) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("site", "peer", "forwarded", "client"),
    [
        (OWN, "127.0.0.1", "192.0.2.7", "192.0.2.7"),
        (OWN, "127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),  # the first was sent by the client
        (OWN, "10.1.2.3", "192.0.2.7", "10.1.2.3"),  # a proxy that is not trusted
        (Site(), "127.0.0.1", "192.0.2.7", "127.0.0.1"),  # no proxy is configured
        (OWN, "127.0.0.1", "", "127.0.0.1"),
        (OWN, "127.0.0.1", "unknown", "127.0.0.1"),
        (ELSEWHERE, "10.1.2.3", "192.0.2.7", "192.0.2.7"),
        (ELSEWHERE, "127.0.0.1", "192.0.2.7, 10.1.2.3", "192.0.2.7"),  # two proxies, one behind the other
        (ELSEWHERE, "10.1.2.3", "203.0.113.9, 192.0.2.7, 10.9.9.9", "192.0.2.7"),
        (ELSEWHERE, "2001:db8::1", "2001:db8:1::2, 192.0.2.7", "192.0.2.7"),
        (OWN, "127.0.0.1", "198.51.100.1, 127.0.0.1", "127.0.0.1"),  # a client on this machine, through the proxy
        (ELSEWHERE, "192.0.2.1", "10.1.1.1", "192.0.2.1"),  # a client that pretends to be a proxy
        (ELSEWHERE, "10.1.2.3", "10.0.0.5", "10.0.0.5"),  # all are proxies: the outermost
    ],
)
def test_the_clients_address_is_what_trusted_proxies_report(site: Site, peer: str, forwarded: str, client: str) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = Request("GET", "/", "", headers, False, peer, "id", no_body)
    assert client_address(request, site) == client


def documented(language: str) -> str:
    """The first block of that language in docs/operating.md."""
    page = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()
    return page.partition(f"```{language}\n")[2].partition("```")[0]


async def make_certificate(directory: Path) -> tuple[Path, Path]:
    """The files of a certificate for 127.0.0.1 and of its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@asynccontextmanager
async def running_proxy(log: Path, port: int, *words: str, **environment: str) -> AsyncIterator[Caller]:
    """A proxy's process, and a browser that reaches Danube through it."""
    with log.open("wb") as printed:
        server = await asyncio.create_subprocess_exec(
            *words, env={**os.environ, **environment}, stdout=printed, stderr=printed
        )
    try:
        outside = Caller("browser", f"https://127.0.0.1:{port}", insecure=True)

        async def answers() -> bool:
            assert server.returncode is None, log.read_text()
            return (await outside.reachable("/health")) == 200

        await wait_until_true(answers, 20, f"{words[0]} to answer")
        yield outside
    finally:
        server.terminate()
        await server.wait()


async def check_clients(api: Api, outside: Caller) -> None:
    """Danube knows the client's address by the proxy, and that it speaks TLS."""
    made = await outside.post(
        "/auth/password", {"email": "alice@example.com", "password": "wrong"}, x_forwarded_for="198.51.100.9"
    )
    assert made.status == 401
    entries = (await api.local.get("/api/v1/audit")).json["entries"]
    assert entries[0]["address"] == "127.0.0.1"  # of the connection to the proxy, not what the client pretends
    logged_in = await outside.post("/auth/password", {"email": "alice@example.com", "password": PASSWORD})
    assert logged_in.headers["set-cookie"].startswith("__Host-danube_session=")
    assert "Secure" in logged_in.headers["set-cookie"]


@pytest.mark.long
async def test_the_documented_nginx_serves_the_page_and_reports_clients(tmp_path: Path) -> None:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    assert Path(program).exists(), "nginx is missing. hint: apt-get install nginx-light"
    port, (certificate, key) = free_port(), await make_certificate(tmp_path)
    async with open_api(tmp_path / "data", people=["alice"], external_url=f"https://127.0.0.1:{port}") as api:
        text = documented("nginx").replace("127.0.0.1:8080", api.address.removeprefix("http://"))
        text = text.replace("443 ssl http2", f"127.0.0.1:{port} ssl http2").replace("ci.example.org", "127.0.0.1")
        text = text.replace("/etc/nginx/danube.crt", str(certificate)).replace("/etc/nginx/danube.key", str(key))
        assert "proxy_pass" in text
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; user root;\n"
            f"events {{}}\nhttp {{ access_log off; {temporary}\n{text}\n}}\n"
        )
        words = (program, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path))
        async with running_proxy(tmp_path / "printed", port, *words) as outside:
            assert (await outside.get("/auth/methods")).headers["server"].startswith("nginx")
            await check_clients(api, outside)


@pytest.mark.long
async def test_the_documented_caddy_serves_the_page_and_reports_clients(tmp_path: Path) -> None:
    """With a certificate of the test's own: the real one is requested from an authority on the internet."""
    program = shutil.which("caddy")
    assert program, "caddy is missing. hint: apt-get install caddy"
    port, (certificate, key) = free_port(), await make_certificate(tmp_path)
    async with open_api(tmp_path / "data", people=["alice"], external_url=f"https://127.0.0.1:{port}") as api:
        text = documented("caddyfile").replace("127.0.0.1:8080", api.address.removeprefix("http://"))
        assert text.startswith("ci.example.org {\n")
        text = text.replace("ci.example.org {\n", f"https://127.0.0.1:{port} {{\n    tls {certificate} {key}\n", 1)
        own = f"{{\n    admin off\n    auto_https disable_redirects\n    storage file_system {tmp_path}\n}}\n"
        (tmp_path / "Caddyfile").write_text(own + text)
        words = (program, "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile")
        async with running_proxy(tmp_path / "printed", port, *words, HOME=str(tmp_path)) as outside:
            assert "Caddy" in (await outside.get("/auth/methods")).headers["server"]
            await check_clients(api, outside)
