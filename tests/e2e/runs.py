"""`danube run` as a user has it, with a state directory of its own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import DANUBE, ROOT


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
    done = subprocess.run(
        [*DANUBE, "run", str(directory), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(state),
            "XDG_CACHE_HOME": str(state / "cache"),
            "PYTHONPATH": str(ROOT),
        },
        cwd=state,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)
