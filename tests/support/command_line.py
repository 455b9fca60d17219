"""The command line in the test's own process: what `danube WORDS` prints and returns, without a start of Python for
each call."""

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from unittest.mock import patch

from danube_pkg.cli.main import main

SECONDS = 120.0
"""A command that takes longer hangs."""

IN_PROCESS = frozenset(
    [
        "approve",
        "audit",
        "backup",
        "cancel",
        "check-upgrade",
        "config",
        "deliveries",
        "drain",
        "explain",
        "health",
        "jobs",
        "keys",
        "login",
        "logs",
        "migrate",
        "pipelines",
        "reap",
        "rerun",
        "restore",
        "resume",
        "secrets",
        "token",
        "trigger",
        "verify",
        "validate",
        "whoami",
    ]
)
"""Commands that neither start a server nor use signals and descriptors of the process, as `run` and `artifacts` do."""


def run_command(
    words: Sequence[str], stdin: bytes, environment: Mapping[str, str], directory: Path
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a thread, which has no event loop as the caller may have. directory: its working directory.

    Standard streams, environment and working directory are those of the whole process, so only one command can run at a
    time. Raises what the command raises, and TimeoutError.
    """
    output, errors = _text(b""), _text(b"")
    ended: Future[int] = Future()

    def work() -> None:
        try:
            ended.set_result(_exit_code(words))
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's thread
            ended.set_exception(error)

    with (
        patch.dict(os.environ, environment, clear=True),
        patch.object(sys, "stdin", _text(stdin)),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        contextlib.chdir(directory),
    ):
        threading.Thread(target=work, name=f"danube {words[0]}", daemon=True).start()
        code = ended.result(SECONDS)
    return subprocess.CompletedProcess(["danube", *words], code, _content(output), _content(errors))


def _exit_code(words: Sequence[str]) -> int:
    try:
        return main(words)
    except SystemExit as end:  # argparse ends so after bad usage
        return end.code if isinstance(end.code, int) else 1


def _text(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", write_through=True)


def _content(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()
