"""A server with a private authority, and wrong schemes: each is named with what to do."""

import argparse
import asyncio
from pathlib import Path

import pytest

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.servers import known_servers, remember_server
from danube_pkg.core.errors import Invalid, PlatformError
from tests.adapters.egress.certificates import make_authority
from tests.support.scripted_http import ReceivedRequest, scripted_http

BODY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{"name": "me"}'


def options(url: str, authority: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(server=url, data=None, ca_file=authority)


def respond(request: ReceivedRequest) -> bytes:
    return BODY


async def asked(url: str, authority: str | None = None) -> object:
    return await asyncio.to_thread(lambda: ApiClient(options(url, authority)).get("/api/v1/me"))


async def refusal(url: str, authority: str | None = None) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await asked(url, authority)
    return refused.value


async def test_a_private_authority_is_named_by_an_option_or_kept_by_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    authority = make_authority(tmp_path, "127.0.0.1")
    async with scripted_http(respond, authority.server_context()) as server:
        url = f"https://{server.host}"
        error = await refusal(url)
        assert error.reference == "certificate-refused"
        assert "--ca-file FILE" in error.hint
        assert await asked(url, str(authority.authority)) == {"name": "me"}
        remember_server(url, "token", "me", str(authority.authority))
        assert known_servers()["servers"][url]["ca_file"] == str(authority.authority)
        assert await asked(url) == {"name": "me"}
        plain = await refusal(f"http://{server.host}")
        assert (plain.reference, plain.hint) == ("server-with-tls", f"use {url}")


async def test_a_server_without_tls_and_a_file_without_certificates_are_named(tmp_path: Path) -> None:
    async with scripted_http(respond) as server:
        error = await refusal(f"https://{server.host}")
        assert error.reference == "server-without-tls"
        assert error.hint == f"this port speaks plain http: http://{server.host}"
    (tmp_path / "empty").touch()
    with pytest.raises(Invalid, match="has no certificates"):
        await asked("https://127.0.0.1:9", str(tmp_path / "empty"))
