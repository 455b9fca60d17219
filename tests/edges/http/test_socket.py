"""The server's unix socket, which makes its owner the administrator, and what the log has of each request."""

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

NOBODY = 65534
ASKS = """
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


async def asked_as(api: Api, user: int) -> str:
    """What another process gets that connects to the socket as that user."""
    place = os.open(api.path, os.O_PATH | os.O_DIRECTORY)
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", "-c", ASKS, str(place), str(user)],
            pass_fds=(place,),
            capture_output=True,
            text=True,
            cwd="/",
            timeout=30,
            check=False,
        )
    finally:
        os.close(place)
    return done.stdout or done.stderr


async def test_the_socket_is_for_its_owner_alone(api: Api) -> None:
    path = api.path / "danube.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert '"local-administrator"' in await asked_as(api, os.geteuid())
    if os.geteuid() != 0:
        return  # nobody else can be asked as
    assert "PermissionError" in await asked_as(api, NOBODY)
    # Whoever loosens the mode has not made an administrator of everybody: the kernel says who connects.
    api.path.chmod(0o755)
    path.chmod(0o666)
    told = await asked_as(api, NOBODY)
    assert "local-administrator" not in told
    assert told.strip() in ("", "ConnectionResetError", "BrokenPipeError")
    assert '"local-administrator"' in await asked_as(api, 0)


async def test_each_request_is_a_line_of_json_without_anybodys_proof(api: Api) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines(lambda text: text))
    log = logging.getLogger("danube.http")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        alice = await api.person("alice")
        answer = await alice.get("/api/v1/jobs?limit=1")
        await api.nobody.get("/auth/callback?code=the-code&state=the-state")
        await api.nobody.post("/auth/password", {"email": "alice@example.com", "password": "the-password"})
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
    for proof in (token, "the-code", "the-state", "the-password"):
        assert proof not in written.getvalue()


async def test_a_token_in_an_address_is_nobody(api: Api) -> None:
    alice = await api.person("alice")
    token = alice.headers["authorization"].removeprefix("Bearer ")
    for query in (f"access_token={token}", f"token={token}"):
        assert (await api.nobody.get(f"/api/v1/jobs?{query}")).status == 401


@pytest.mark.parametrize("header", ["Basic {token}", "bearer", "{token} x", ""])
async def test_a_proof_that_is_none_is_no_request_without_one(api: Api, header: str) -> None:
    """It is refused, not taken as a stranger's, who may see less and would not be told why."""
    token = (await api.person("alice")).headers["authorization"].removeprefix("Bearer ")
    answer = await api.nobody.ask("GET", "/api/v1/me", headers={"authorization": header.format(token=token)})
    assert answer.status == 401
