"""Behind reverse proxies: whose word about the client's address counts, and what real nginx does to requests."""

import asyncio
import shutil
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest

from danube_pkg.edges.http.server.body_memory import BodyMemory
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.security import client_address
from danube_pkg.edges.http.services import Site
from tests.edges.http.api import PASSWORD, Caller, open_api
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


def nginx_example() -> str:
    """The block of docs/operating.md."""
    page = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()
    return page.partition("```nginx\n")[2].partition("```")[0]


@pytest.mark.long
async def test_the_documented_nginx_serves_the_page_and_reports_clients(tmp_path: Path) -> None:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    assert Path(program).exists(), "nginx is missing. hint: apt-get install nginx-light"
    port = free_port()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    async with open_api(tmp_path / "data", people=["alice"], external_url=f"https://127.0.0.1:{port}") as api:
        text = nginx_example().replace("127.0.0.1:8080", api.address.removeprefix("http://"))
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
        server = await asyncio.create_subprocess_exec(program, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path))
        try:
            outside = Caller("browser", f"https://127.0.0.1:{port}", insecure=True)

            async def answers() -> bool:
                assert server.returncode is None, (tmp_path / "error.log").read_text()
                return (await outside.reachable("/health")) == 200

            await wait_until_true(answers, 20, "nginx to answer")
            made = await outside.post(
                "/auth/password", {"email": "alice@example.com", "password": "wrong"}, x_forwarded_for="198.51.100.9"
            )
            assert made.status == 401
            entries = (await api.local.get("/api/v1/audit")).json["entries"]
            assert entries[0]["address"] == "127.0.0.1"  # of the connection to nginx, not what the client pretends
            assert (await outside.get("/auth/methods")).headers["server"].startswith("nginx")
            logged_in = await outside.post("/auth/password", {"email": "alice@example.com", "password": PASSWORD})
            assert logged_in.headers["set-cookie"].startswith("__Host-danube_session=")
            assert "Secure" in logged_in.headers["set-cookie"]
        finally:
            server.terminate()
            await server.wait()
