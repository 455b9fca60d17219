"""Streams a whole job: its log from an offset to its end, and its states; for the page, the API and the terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.kit.records import Record
from danube_pkg.services.jobs.engine import Engine

QUEUED_EVENTS = 4
"""Chunks (of at most 256 KiB) and states that a viewer may be behind before its producers wait: a megabyte for each of
hundreds of slow viewers. The job itself never waits."""


class LogPart(Record):
    """Bytes of the log at an offset."""

    offset: int
    data: bytes


JobUpdate = Job | LogPart


@asynccontextmanager
async def follow_job(
    engine: Engine, logs: JobLogs, job_id: str, begin: int = 0
) -> AsyncIterator[AsyncIterator[JobUpdate]]:
    """States and log parts as they come; the last state comes after the whole log. Raises NotFound."""
    updates: asyncio.Queue[JobUpdate | None] = asyncio.Queue(QUEUED_EVENTS)
    changed = asyncio.Event()
    latest: list[Job] = []

    async def pass_states(states: AsyncIterator[Job]) -> None:
        async for job in states:
            latest[:] = [job]
            changed.set()
            if job.status.ended:
                return
            await updates.put(job)

    async def pass_log() -> None:
        at = begin
        while True:
            await changed.wait()
            changed.clear()
            ended = latest[-1].status.ended
            if not ended:
                await engine.wait_for_log(job_id)
            async for offset, data in logs.follow(job_id, at):
                at = offset + len(data)
                await updates.put(LogPart(offset, data))
            if ended:
                await updates.put(latest[-1])
                await updates.put(None)
                return
            if latest[-1].status.ended:
                changed.set()

    async with engine.watch(job_id) as states, asyncio.TaskGroup() as group:
        tasks = [group.create_task(pass_states(states), name="states"), group.create_task(pass_log(), name="log")]
        try:
            yield _until_none(updates)
        finally:
            for task in tasks:
                task.cancel()


async def _until_none(updates: "asyncio.Queue[JobUpdate | None]") -> AsyncIterator[JobUpdate]:
    while (item := await updates.get()) is not None:
        yield item
