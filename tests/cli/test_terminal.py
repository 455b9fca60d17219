"""The command line on a real terminal: progress, and prompts that do not show what is typed."""

import asyncio
import shlex
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from tests.cli.shell import Shell, with_alice
from tests.cli.test_command_line import log_in
from tests.edges.http.api import Api
from tests.services.stores import no_token
from tests.support.danube_process import DANUBE

PART = b"x" * 2**20
PARTS = 200
"""So many that the download takes longer than the time between two drawings."""


@pytest.fixture
def api(api: Api) -> Api:
    return with_alice(api)


async def on_a_terminal(shell: Shell, *words: str, prompt: str = "", typed: str = "", code: int = 0) -> str:
    """All output on a terminal, which script(1) makes. `typed` is sent after the prompt."""
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


async def test_a_download_shows_its_progress(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    job = await api.job("app")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(PARTS):
            yield PART

    kept = await api.parts.jobs.files.artifacts.receive(job, "disk", "disk", chunks(), lambda: None)
    shown = await on_a_terminal(shell, "artifacts", "download", job.id, "disk")
    assert "\rdisk  [#" in shown
    assert " left" in shown
    assert f"sha256 {kept.sha256}" in shown
    with (shell.home / "disk").open("rb") as file:
        assert sha256(file.read()).hexdigest() == kept.sha256


async def test_a_prompt_for_a_secret_does_not_show_it(api: Api, shell: Shell) -> None:
    await log_in(api, shell)
    shown = await on_a_terminal(
        shell, "secrets", "set", "KEY", "--pipeline", "app", prompt="value of KEY:", typed="a typed value\n"
    )
    assert "a typed value" not in shown
    job = await api.open_job("app")
    assert await api.parts.jobs.secrets.read_for_job(job, 1, "KEY", no_token) == b"a typed value"


async def test_the_end_of_input_at_a_prompt_is_invalid_usage(shell: Shell) -> None:
    shown = await on_a_terminal(
        shell, "secrets", "set", "KEY", "--data", ".", prompt="value of KEY:", typed="\x04", code=2
    )
    assert "standard input ended" in shown
    assert "Traceback" not in shown
