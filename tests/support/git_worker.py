"""What starts the Git workers of tests. One fork server serves a whole test process, and ends with it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.git.process import Worker, WorkerProcess, WorkerStarter, worker_processes

PROCESSES = worker_processes()
GIT_WORKER = Worker(PROCESSES)


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


class CountedStarts:
    """A `WorkerStarter` that counts the workers of another one. running: those that were not seen to end."""

    def __init__(self, workers: WorkerStarter) -> None:
        self._workers = workers
        self._processes: list[WorkerProcess] = []

    async def start(self, environment: Mapping[str, str], limit_bytes: int) -> WorkerProcess:
        """limit_bytes: what is read ahead of each pipe."""
        process = await self._workers.start(environment, limit_bytes)
        self._processes.append(process)
        return process

    @property
    def started(self) -> int:
        return len(self._processes)

    @property
    def running(self) -> list[int]:
        return [one.pid for one in self._processes if Path(f"/proc/{one.pid}").exists()]
