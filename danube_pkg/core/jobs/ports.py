"""Ports of the job engine: keys of jobs and steps, and whether the server is draining."""

from collections.abc import Callable
from typing import Protocol

from danube_pkg.core.jobs.job import Job


class JobKeys(Protocol):
    """Keys that are derived from the master key and not stored, so that a restarted server has the same ones."""

    def job_token(self, job_id: str) -> str: ...

    def check_job_token(self, token: str) -> str:
        """The id of the job that a token is for. Raises Unauthenticated."""
        ...

    def step_key(self, step_id: str, attempt: int) -> bytes:
        """32 bytes, known to the server and to the supervisor of that attempt."""
        ...


Listener = Callable[[Job], None]


class ServerState(Protocol):
    """Values by name that a server keeps over its restarts."""

    async def recall(self, name: str) -> tuple[str, float] | None:
        """The value and when it was written (Unix seconds)."""
        ...

    async def remember(self, name: str, value: str) -> None: ...
    async def forget(self, name: str) -> None: ...
