"""The HTTP server in its own process: `python -m tests.edges.http.serve DIR`. It prints its address, and stops when its
standard input ends."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.edges.http.api import open_api


class ServerProcess:
    """A running server process."""

    def __init__(self, process: "subprocess.Popen[str]", address: str, job: str, token: str) -> None:
        self.process = process
        self.address = address
        self.host, _, port = address.removeprefix("http://").rpartition(":")
        self.port = int(port)
        self.job = job
        self.token = token
        """An API token of a global administrator, with every scope."""

    def resident_bytes(self) -> int:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def server_process(path: Path) -> Iterator[ServerProcess]:
    """A server that runs until the context closes."""
    command = [sys.executable, "-m", "tests.edges.http.serve", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        address, job, token = process.stdout.readline().split()
        try:
            yield ServerProcess(process, address, job, token)
        finally:
            process.stdin.close()
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


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
