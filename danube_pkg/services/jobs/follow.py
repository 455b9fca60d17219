"""Streams a whole job: its log from an offset to its end, and its states; for the page, the API and the terminal."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import FOLLOWED
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.kit.records import Record
from danube_pkg.services.jobs.engine import Engine

QUEUED_EVENTS = 4
"""Chunks (of at most 256 KiB) and states that a viewer may be behind before its producers wait: a megabyte for each of
hundreds of slow viewers. The job itself never waits."""


class LogPart(Record):
    """Bytes of the log at an offset. owners: while steps run side by side, offsets at which the bytes of a step begin,
    with the step, and 0 for lines of Danube itself; otherwise empty."""

    offset: int
    data: bytes
    owners: tuple[tuple[int, int], ...] = ()

    def runs(self) -> Iterator[tuple[bytes, int | None]]:
        """The bytes of each step in turn; None where its step is not named."""
        starts = [(max(0, at - self.offset), step) for at, step in self.owners]
        if not starts:
            yield self.data, None
        for number, (begin, step) in enumerate(starts):
            end = starts[number + 1][0] if number + 1 < len(starts) else len(self.data)
            yield self.data[begin if number else 0 : end], step


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
                owners = logs.owners(job_id, offset, at) if _is_parallel(latest[-1]) else ()
                await updates.put(LogPart(offset, data, tuple(owners)))
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


def _is_parallel(job: Job) -> bool:
    """Whether lines of several steps may alternate now."""
    running = [step for step in job.steps if step.phase in FOLLOWED and step.sequence != COORDINATOR_SEQUENCE]
    return len(running) > 1


async def _until_none(updates: "asyncio.Queue[JobUpdate | None]") -> AsyncIterator[JobUpdate]:
    while (item := await updates.get()) is not None:
        yield item
