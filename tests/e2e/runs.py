"""`danube run` as a user has it, with a state directory of its own."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.command_line import run_command
from tests.support.danube_process import ROOT, run_danube


@dataclass(frozen=True, slots=True)
class Run:
    """How it ended: exit code, standard output, standard error."""

    code: int
    printed: str
    errors: str

    @property
    def everything(self) -> str:
        return f"exit code {self.code}\n{self.printed}\n{self.errors}"


def danube_run(directory: Path, *words: str, state: Path, stdin: str = "", seconds: float = 60) -> Run:
    """Run the danubefile of a directory to its end."""
    done = run_danube(["run", str(directory), *words], _environment(state), state, stdin, seconds)
    return Run(done.returncode, done.stdout, done.stderr)


def refused_run(directory: Path, *words: str, state: Path) -> Run:
    """A run that is refused before anything starts, so that it needs no process of its own."""
    done = run_command(["run", str(directory), *words], b"", _environment(state), state)
    return Run(done.returncode, done.stdout, done.stderr)


def _environment(state: Path) -> dict[str, str]:
    own = {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(state / "cache"), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own}
