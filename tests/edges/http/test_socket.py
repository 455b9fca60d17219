"""The unix socket, whose owner is the administrator, and the log line of each request."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys

import pytest

from danube_pkg.kit.logs import JsonLines
from tests.edges.http.api import Api

UNPRIVILEGED = 65534
REQUEST_AS_USER = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
connection = socket.socket(socket.AF_UNIX)
connection.connect("/proc/self/fd/" + sys.argv[1] + "/danube.sock")
try:
    connection.sendall(b"GET /api/v1/me HTTP/1.1\\r\\nHost: danube\\r\\nConnection: close\\r\\n\\r\\n")
    print(connection.makefile("rb").read().decode())
except OSError as error:
    print(type(error).__name__)
"""


async def response_for_user(api: Api, user: int) -> str:
    """What a process of that user gets from the socket."""
    directory = os.open(api.path, os.O_PATH | os.O_DIRECTORY)
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", "-c", REQUEST_AS_USER, str(directory), str(user)],
            pass_fds=(directory,),
            capture_output=True,
            text=True,
            cwd="/",
            timeout=30,
            check=False,
        )
    finally:
        os.close(directory)
    return done.stdout or done.stderr


async def test_only_the_owner_can_use_the_socket(api: Api) -> None:
    path = api.path / "danube.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert '"local-administrator"' in await response_for_user(api, os.geteuid())
    if os.geteuid() != 0:
        return  # only root can become another user
    assert "PermissionError" in await response_for_user(api, UNPRIVILEGED)
    # With a looser mode other users can connect, but the kernel reports who they are.
    api.path.chmod(0o755)
    path.chmod(0o666)
    shown = await response_for_user(api, UNPRIVILEGED)
    assert "local-administrator" not in shown
    assert shown.strip() in ("", "ConnectionResetError", "BrokenPipeError")
    assert '"local-administrator"' in await response_for_user(api, 0)


async def test_each_request_is_logged_as_json_without_credentials(api: Api) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines(lambda text: text))
    log = logging.getLogger("danube.http")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        alice = await api.caller("alice")
        answer = await alice.get("/api/v1/jobs?limit=1")
        await api.anonymous.get("/auth/callback?code=the-code&state=the-state")
        await api.anonymous.post("/auth/password", {"email": "alice@example.com", "password": "the-password"})
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = [one for one in lines if one.get("path") == "/api/v1/jobs"]
    assert (line["event"], line["method"], line["status"]) == ("request", "GET", 200)
    assert (line["actor"], line["request_id"]) == ("alice@example.com", answer.headers["x-request-id"])
    assert line["address"] == "127.0.0.1"
    assert line["ms"] >= 0
    token = alice.headers["authorization"].removeprefix("Bearer ")
    for credential in (token, "the-code", "the-state", "the-password"):
        assert credential not in written.getvalue()


async def test_a_token_in_a_url_is_not_accepted(api: Api) -> None:
    alice = await api.caller("alice")
    token = alice.headers["authorization"].removeprefix("Bearer ")
    for query in (f"access_token={token}", f"token={token}"):
        assert (await api.anonymous.get(f"/api/v1/jobs?{query}")).status == 401


@pytest.mark.parametrize("header", ["Basic {token}", "bearer", "{token} x", ""])
async def test_an_invalid_authorization_header_is_refused(api: Api, header: str) -> None:
    """It is not treated as an anonymous request, which would hide the mistake."""
    token = (await api.caller("alice")).headers["authorization"].removeprefix("Bearer ")
    answer = await api.anonymous.send("GET", "/api/v1/me", headers={"authorization": header.format(token=token)})
    assert answer.status == 401
