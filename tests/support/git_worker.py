"""What starts the Git workers of tests. One fork server serves a whole test process, and ends with it."""

import asyncio
from collections.abc import Mapping, Sequence

from danube_pkg.adapters.git.process import Worker, worker_processes

GIT_WORKER = Worker(worker_processes())


class Spawned:
    """A `WorkerStarter` of any program."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    async def start(self, environment: Mapping[str, str], limit_bytes: int) -> asyncio.subprocess.Process:
        """limit_bytes: what is read ahead of each pipe."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, limit=limit_bytes, env=environment, cwd="/"
        )
