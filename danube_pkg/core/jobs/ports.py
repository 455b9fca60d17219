"""Ports of the job engine: keys of jobs and steps, and whether the server is draining."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from danube_pkg.core.jobs.job import Job


class JobKeys(Protocol):
    """Keys that are derived from the master key and not stored, so that a restarted server has the same ones."""

    def job_token(self, job_id: str) -> str: ...

    def check_job_token(self, token: str) -> str:
        """The id of the job that a token is for. Raises Unauthenticated."""
        ...

    def egress_password(self, job_id: str) -> str:
        """What a job's programs give to the egress proxy over a network; letters, digits, `-` and `_`."""
        ...

    def step_key(self, step_id: str, attempt: int) -> bytes:
        """32 bytes, known to the server and to the supervisor of that attempt."""
        ...

    def snapshot_hash(self, parts: bytes) -> str:
        """A keyed hash of what a snapshot depends on, in hexadecimal digits: variables cannot be guessed from it."""
        ...


class IdentityKeys(Protocol):
    """The RSA key that signs identity tokens, made when it is first needed. Raises Permanent for one that is missing
    though it has signed, or that other users can read."""

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS (RFC 7515) with RS256."""
        ...

    async def key_set(self) -> Mapping[str, Any]:
        """The public half as a JWK set (RFC 7517)."""
        ...


Listener = Callable[[Job], None]


class ServerState(Protocol):
    """Values by name that a server keeps over its restarts."""

    async def recall(self, name: str) -> tuple[str, float] | None:
        """The value and when it was written (Unix seconds)."""
        ...

    async def remember(self, name: str, value: str) -> None: ...
    async def forget(self, name: str) -> None: ...
