"""What the calls of one job may take of the server at once: their number, and the bytes of messages that are received.

A call is counted before its message is read: gRPC has then received no more of it than a stream's window. Large
messages are read a few at a time for each job, so that a job cannot fill the server's memory with calls that it does
not finish.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio

from danube_pkg.core.errors import Invalid, TooLarge
from danube_pkg.edges.grpc.errors import Context

MAX_CALLS = 96
"""The SDK runs 64 steps at once; the others are for secrets, artifacts, the source and repeated calls."""

MAX_CALLS_OF = {"FetchSource": 2, "UploadArtifact": 8, "RestoreCache": 4, "SaveCache": 4, "DownloadArtifact": 4}
"""A process for Git reads each source, and a file is written by each upload. The second fetch is for one whose
connection was lost; the SDK uploads four artifacts at once, and moves two caches."""

END_OF_STREAM: Any = vars(grpc.aio)["EOF"]
"""What a call's `read` returns behind the last message; the stubs of types do not have it."""

MESSAGES_AT_ONCE = 1
"""Messages of one job that are being received."""

MESSAGE_SECONDS = 30.0
"""For the arrival of one message of a few MiB through a unix socket, on a busy machine."""


class JobCalls:
    """The open calls of one job."""

    def __init__(self) -> None:
        self.open: Counter[str] = Counter()
        self.receiving = asyncio.Semaphore(MESSAGES_AT_ONCE)


class Calls:
    """The open calls of all jobs; a job without any is forgotten."""

    def __init__(self) -> None:
        self._jobs: dict[str, JobCalls] = {}

    @contextmanager
    def counted(self, job_id: str, method: str) -> Iterator[JobCalls]:
        """Counts a call until the block ends. Raises TooLarge for one too many."""
        calls = self._jobs.setdefault(job_id, JobCalls())
        limit = MAX_CALLS_OF.get(method, MAX_CALLS)
        if calls.open[method] >= limit or calls.open.total() >= MAX_CALLS:
            bound = f"{limit} calls of {method}" if calls.open[method] >= limit else f"{MAX_CALLS} calls"
            raise TooLarge(
                "too-many-calls",
                f"the job has {bound} open, the most that are allowed at once",
                hint="wait for steps before starting more: with step.parallel():",
            )
        calls.open[method] += 1
        try:
            yield calls
        finally:
            calls.open[method] -= 1
            if not calls.open.total():
                self._jobs.pop(job_id, None)


async def received(context: Context, calls: JobCalls) -> Any:
    """The first message of a call. Raises Invalid for a call without one.

    It is read through the context, since gRPC's iterator of messages holds each until the next one is read.
    """
    message: Any = END_OF_STREAM
    async with calls.receiving:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MESSAGE_SECONDS):
                message = await context.read()
    if message is END_OF_STREAM:
        raise Invalid(
            "call-incomplete",
            "the call has no message",
            cause=f"none arrived within {MESSAGE_SECONDS:g} s",
            hint="use the coordinator of the same release",
        )
    return message
