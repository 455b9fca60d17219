"""`ports.InstalledServer`: the server of a data directory on this machine, and the programs that work on it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from danube_pkg.bootstrap.runtime import remove_pods
from danube_pkg.bootstrap.store import locked_data_directory
from danube_pkg.core.errors import PlatformError, Unavailable

ANSWER_SECONDS = 120.0
"""A first start makes keys and a database, and unpacks the program: seconds, but a busy machine needs more."""

POLL_SECONDS = 0.2

AskOf = Callable[[str], Callable[[str], Any]]
"""By a data directory: the answer of its server to a GET; raises PlatformError."""


class LocalServer:
    """The server that a unit of this machine runs."""

    def __init__(self, ask_of: AskOf) -> None:
        self._ask_of = ask_of

    def problem(self, data: str) -> str:
        try:
            self._ask_of(data)("/health")
        except PlatformError as error:
            return str(error)
        except OSError as error:  # no socket, or not this user's
            return str(error)
        return ""

    def wait_answer(self, data: str) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while problem := self.problem(data):
            if time.monotonic() > deadline:
                raise Unavailable(
                    "server-not-answering",
                    f"the server has not answered for {ANSWER_SECONDS:.0f} s",
                    cause=problem,
                    hint="read its log: journalctl -u danube; then continue: danube install",
                )
            time.sleep(POLL_SECONDS)

    def remove_pods(self, data: str) -> None:
        directory = Path(data)
        if (directory / "pods").is_dir():
            with locked_data_directory(directory):
                asyncio.run(remove_pods(directory))
