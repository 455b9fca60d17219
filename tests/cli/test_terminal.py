"""The command line on a real terminal: what it draws, and that a value typed there is not shown."""

import asyncio
import shlex
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from tests.cli.test_command_line import (
    DANUBE,
    Shell,
    log_in,
    shell,
)
from tests.edges.http.api import Api

__all__ = ["shell"]

PART = b"x" * 2**20
PARTS = 200
"""Enough that it is not received within the time between two drawings."""


@pytest.fixture
async def api(api: Api) -> Api:
    api.team("core")
    api.pipeline("app", owner="core")
    api.user("alice", core="admin")
    return api


async def on_a_terminal(shell: Shell, *words: str, prompt: str = "", typed: str = "", code: int = 0) -> str:
    """All that the terminal showed; script(1) makes one. What is typed comes when the prompt is there."""
    process = await asyncio.create_subprocess_exec(
        "script", "--quiet", "--return", "--command", shlex.join([*DANUBE, *words]), "/dev/null",
        stdin=PIPE, stdout=PIPE, cwd=shell.home, env=shell.environment | {"TERM": "xterm", "NO_COLOR": ""},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    shown = await process.stdout.readuntil(prompt.encode()) if prompt else b""
    process.stdin.write(typed.encode())
    async with asyncio.timeout(60):
        shown += await process.stdout.read()
        assert await process.wait() == code, shown.decode(errors="replace")
    process.stdin.close()
    return shown.decode(errors="replace")


async def test_a_transfer_shows_how_far_it_is(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    job = await api.job("app")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(PARTS):
            yield PART

    kept = await api.house.artifacts.receive(job, "disk", "disk", chunks(), lambda: None)
    shown = await on_a_terminal(shell, "artifacts", "download", job.id, "disk")
    assert "\rdisk  [#" in shown
    assert " left" in shown
    assert f"sha256 {kept.sha256}" in shown
    with (shell.home / "disk").open("rb") as file:
        assert sha256(file.read()).hexdigest() == kept.sha256


async def test_a_secret_is_asked_for_and_not_shown(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    shown = await on_a_terminal(
        shell, "secrets", "set", "KEY", "--pipeline", "app", prompt="value of KEY:", typed="a typed value\n"
    )
    assert "a typed value" not in shown
    job = await api.open_job("app")
    assert await api.house.secrets.read_for_job(job, 1, "KEY") == b"a typed value"


async def test_nothing_typed_is_bad_usage(shell: Shell) -> None:
    shown = await on_a_terminal(
        shell, "secrets", "set", "KEY", "--data", ".", prompt="value of KEY:", typed="\x04", code=2
    )
    assert "nothing was typed" in shown
    assert "Traceback" not in shown
