"""Processes that run `danube WORDS`, started as copies of one that has imported Danube, which takes most of a start.

`DANUBE` starts one from nothing, for tests of the start itself.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support.danube_program import REQUEST
from tests.support.forked import ROOT, Forked, fork_server

__all__ = ["DANUBE", "ROOT", "DanubeProcess", "run_danube"]

DANUBE = [sys.executable, "-m", "danube_pkg.cli.main"]

_server = fork_server("tests.support.danube_program")


class DanubeProcess(Forked):
    """`danube WORDS`. umask: -1 keeps that of the test."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        *,
        stdin: IO[bytes],
        stdout: IO[bytes],
        stderr: IO[bytes],
        umask: int = -1,
    ) -> None:
        request = json.dumps({"words": tuple(words), "directory": str(directory), "umask": umask})
        super().__init__(_server, {**environment, REQUEST: request}, stdin, stdout, stderr)


def run_danube(
    words: Sequence[str], environment: Mapping[str, str], directory: Path, stdin: str = "", seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end. It is killed, and TimeoutExpired raised, if it takes longer."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin.encode())
        given.seek(0)
        process = DanubeProcess(words, environment, directory, stdin=given, stdout=output, stderr=errors)
        try:
            code = process.wait(seconds)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess(["danube", *words], code, _content(output), _content(errors))


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
