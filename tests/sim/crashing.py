"""The adapters of a server that can crash: the real ones, with a point before and after each access to the disk."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from danube_pkg.adapters.logs import FileJobLogs, appending
from danube_pkg.adapters.store.database import Database, Work
from danube_pkg.core.logs.index import Found
from danube_pkg.core.logs.lines import Lines, Section
from danube_pkg.core.logs.ports import JobLog, StepOutput
from danube_pkg.core.logs.redaction import Patterns
from danube_pkg.kit.digests import Digest
from tests.sim.faults import FaultPlan


class CrashingProcess(Protocol):
    """A process as its adapters see it. `touch` raises ProcessCrashed once it has crashed, also
    when it crashes at this point."""

    faults: FaultPlan

    @property
    def has_crashed(self) -> bool: ...
    def touch(self, what: str) -> None: ...


class CrashingDatabase(Database):
    """The real database, whose group commits happen in the loop's thread at a time that the fault plan chooses.

    A killed process loses nothing that it gave to the kernel, so nothing is synced here.
    """

    def __init__(self, path: Path, process: CrashingProcess) -> None:
        super().__init__(path)
        self._process = process
        self._group: list[tuple[Work, asyncio.Future[Any]]] = []
        self._writing.execute("PRAGMA synchronous=OFF")

    async def write(self, work: Work) -> Any:
        self._process.touch("commit.before")
        loop = asyncio.get_running_loop()
        failure = self._process.faults.storage_failure(loop.time())
        if failure is not None:
            raise failure
        done: asyncio.Future[Any] = loop.create_future()
        self._group.append((work, done))
        if len(self._group) == 1:
            loop.call_later(self._process.faults.delay("commit"), self._commit_group)
        value = await done
        self._process.touch("commit.after")
        return value

    def _commit_group(self) -> None:
        group, self._group = self._group, []
        if self._process.has_crashed:
            return
        messages: list[tuple[Work, Future[Any]]] = [(work, Future()) for work, _ in group]
        self._commit(messages)
        for (_, done), (_, future) in zip(group, messages, strict=True):
            if done.done():
                continue
            error = future.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(future.result())

    def read(self, sql: str, *values: object) -> list[Any]:
        self._process.touch("read")
        return super().read(sql, *values)

    def abandon(self) -> None:
        """Close the file without committing what is pending."""
        self._group.clear()
        self._waiting.put(None)
        self._thread.join()
        self._reading.close()


class CrashingLogs:
    """`core.logs.ports.JobLogs` over real files."""

    def __init__(self, logs: FileJobLogs, process: CrashingProcess) -> None:
        self.real = logs
        self._process = process

    @property
    def written_bytes(self) -> int:
        return self.real.written_bytes

    def open(self, job_id: str, *, patterns: Patterns, limit_bytes: int) -> JobLog:
        self._process.touch("log.open")
        return CrashingLog(self.real.open(job_id, patterns=patterns, limit_bytes=limit_bytes), self._process)

    async def check(self, job_id: str) -> None:
        await self.real.check(job_id)

    async def digest(self, job_id: str) -> Digest:
        self._process.touch("log.digest")
        return await self.real.digest(job_id)

    async def sync(self, job_id: str) -> int:
        self._process.touch("log.sync")
        return await self.real.sync(job_id)

    async def read(self, job_id: str, begin: int, end: int, *, step: int | None = None) -> bytes:
        self._process.touch("log.read")
        return await self.real.read(job_id, begin, end, step=step)

    async def lines(self, job_id: str, first: int, count: int, *, step: int | None = None) -> Lines:
        return await self.real.lines(job_id, first, count, step=step)

    async def sections(self, job_id: str) -> Sequence[Section]:
        return await self.real.sections(job_id)

    def size(self, job_id: str, *, step: int | None = None) -> int:
        self._process.touch("log.size")
        return self.real.size(job_id, step=step)

    def read_now(self, job_id: str, begin: int, end: int) -> bytes:
        self._process.touch("log.read")
        return self.real.read_now(job_id, begin, end)

    def owners(self, job_id: str, begin: int, end: int) -> Sequence[tuple[int, int]]:
        self._process.touch("log.read")
        return self.real.owners(job_id, begin, end)

    def time_at(self, job_id: str, offset: int) -> float | None:
        self._process.touch("log.read")
        return self.real.time_at(job_id, offset)

    async def search(
        self, job_id: str, text: str, *, begin: int, limit: int, match_case: bool, step: int | None = None
    ) -> Found:
        self._process.touch("log.search")
        return await self.real.search(job_id, text, begin=begin, limit=limit, match_case=match_case, step=step)

    async def follow(self, job_id: str, begin: int) -> AsyncIterator[tuple[int, bytes]]:
        async for part in self.real.follow(job_id, begin):
            self._process.touch("log.follow")
            yield part


class CrashingLog:
    """`core.logs.ports.JobLog`."""

    def __init__(self, log: JobLog, process: CrashingProcess) -> None:
        self._log = log
        self._process = process

    @property
    def size_bytes(self) -> int:
        return self._log.size_bytes

    def step_output(self, step: int, attempt: int) -> StepOutput:
        return CrashingOutput(self._log.step_output(step, attempt), self._process)

    def note(self, key: str, step: int, text: str) -> None:
        self._process.touch("log.note")
        self._log.note(key, step, text)

    def has_note(self, key: str) -> bool:
        return self._log.has_note(key)

    def step_range(self, step: int) -> tuple[int, int]:
        return self._log.step_range(step)

    def add_patterns(self, patterns: Patterns) -> None:
        self._process.touch("log.secrets")
        self._log.add_patterns(patterns)

    def redact(self, text: str) -> str:
        return self._log.redact(text)

    async def close(self) -> None:
        self._process.touch("log.close")
        await self._log.close()
        self._process.touch("log.closed")


class CrashingOutput:
    """`core.logs.ports.StepOutput`."""

    def __init__(self, output: StepOutput, process: CrashingProcess) -> None:
        self._output = output
        self._process = process

    @property
    def raw_offset(self) -> int:
        return self._output.raw_offset

    def feed(self, offset: int, data: bytes | memoryview) -> None:
        self._process.touch("log.feed")
        self._output.feed(offset, data)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        self._process.touch("log.feed")
        await self._output.write(offset, data)

    def finish(self) -> None:
        self._process.touch("log.finish")
        self._output.finish()

    async def end(self) -> None:
        self._process.touch("log.finish")
        await self._output.end()


@contextlib.contextmanager
def writing_logs_as(processes: "list[CrashingProcess]") -> Iterator[None]:
    """While the block lasts, each write of log bytes or index records is a point, and fails while the disk is full."""
    real = appending.write_all

    def write_all(descriptor: int, data: bytes, offset: int) -> None:
        process = processes[-1]
        process.touch("log.write")
        if process.faults.is_full("log", asyncio.get_running_loop().time()):
            real(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, data, offset)

    appending.write_all = write_all
    try:
        yield
    finally:
        appending.write_all = real
