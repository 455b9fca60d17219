"""A user's shell, and the server that its commands talk to."""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.edges.http.api import Api
from tests.support.command_line import IN_PROCESS, SECONDS, run_command
from tests.support.danube_process import DANUBE, run_danube

__all__ = ["DANUBE", "Shell", "with_alice"]


class Shell:
    """A user's shell with its own home, and no server in the environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DANUBE")},
            "XDG_CONFIG_HOME": str(home / "config"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        home.mkdir()

    async def danube(self, *words: str, given: str = "", code: int = 0, **environment: str) -> str:
        """Standard output, or standard error if the expected exit code is not 0."""
        done = await asyncio.to_thread(self._run, words, given, self.environment | environment)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return str(done.stdout if code == 0 else done.stderr)

    async def noted(self, *words: str, given: str = "") -> str:
        """Standard error of a command that succeeds."""
        done = await asyncio.to_thread(self._run, words, given, self.environment)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return str(done.stderr)

    async def run_out(self, *words: str, code: int | None, **environment: str) -> str:
        """Standard output, whatever the expected exit code is. code: None for any."""
        done = await asyncio.to_thread(self._run, words, "", self.environment | environment)
        assert code in (None, done.returncode), f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return str(done.stdout)

    def _run(
        self, words: Sequence[str], given: str, environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        if words[0] in IN_PROCESS:
            return run_command(words, given.encode(), environment, self.home)
        return run_danube(words, environment, self.home, given)

    def run_process(
        self, command: Sequence[str], given: str, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """A command as a process of its own, with this environment."""
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=environment or self.environment,
            timeout=SECONDS,
            check=False,
        )

    @property
    def servers_file(self) -> Path:
        return self.home / "config" / "danube" / "servers.json"


def with_alice(api: Api) -> Api:
    """The server with the pipeline `app` of the team `core`, which alice administers."""
    api.team("core")
    api.pipeline("app", owner="core")
    api.user("alice", core="admin")
    return api
