"""The HTTP server in its own process, a copy of one that has imported it. It prints its address, and stops when its
standard input ends."""

import asyncio
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.edges.http.api import open_api
from tests.support.forked import Forked, fork_server

DIRECTORY = "TEST_SERVER_DIRECTORY"
"""The variable with the directory of the server."""

_server = fork_server("tests.edges.http.serve")


class ServerProcess:
    """A running server process."""

    def __init__(self, process_id: int, address: str, job: str, token: str) -> None:
        self.process_id = process_id
        self.address = address
        self.host, _, port = address.removeprefix("http://").rpartition(":")
        self.port = int(port)
        self.job = job
        self.token = token
        """An API token of a global administrator, with every scope."""

    def resident_bytes(self) -> int:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.process_id}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process_id}/fd"))


@contextmanager
def server_process(path: Path) -> Iterator[ServerProcess]:
    """A server that runs until the context closes."""
    (stdin_there, stdin_here), (stdout_here, stdout_there) = os.pipe(), os.pipe()
    with os.fdopen(stdin_here, "wb") as stdin, os.fdopen(stdout_here) as stdout:
        with os.fdopen(stdin_there, "rb") as its_stdin, os.fdopen(stdout_there, "wb") as its_stdout:
            environment = {**os.environ, DIRECTORY: str(path)}
            with (path / "errors").open("wb") as errors:
                process = Forked(_server, environment, its_stdin, its_stdout, errors)
        address, job, token = stdout.readline().split()
        try:
            yield ServerProcess(process.pid, address, job, token)
        finally:
            stdin.close()
            assert process.wait(30) == 0


async def _serve(path: Path) -> None:
    async with open_api(path) as api:
        api.team("core", global_admin=True)
        api.pipeline("app", owner="core")
        job = await api.job("app")
        await api.log(job.id, b"a line\n" * 100)
        token = (await api.caller("alice", core="admin")).headers["authorization"].removeprefix("Bearer ")
        print(api.address, job.id, token, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> int:
    """What the fork server runs."""
    asyncio.run(_serve(Path(os.environ[DIRECTORY])))
    return 0
