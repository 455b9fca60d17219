"""Ports of job logs: one step's output, one job's log, all logs."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from danube_pkg.core.logs.index import Found
from danube_pkg.core.logs.lines import Lines, Section


class StepOutput(Protocol):
    """Where one step's raw output goes. Synchronous: appending to the page cache does not block for long.

    `raw_offset` is that of the first raw byte which is not yet emitted: what to follow from, after a crash as well.
    """

    @property
    def raw_offset(self) -> int: ...

    def feed(self, offset: int, data: bytes | memoryview) -> None:
        """Raw bytes at that raw offset; what was seen before is skipped, a gap is a Defect. Raises StorageFull: feed again later."""
        ...

    def finish(self) -> None:
        """The step ended: emit what is held back. Idempotent."""
        ...


class JobLog(Protocol):
    """One job's log: appended by its steps, already redacted, read by any number of viewers.

    Once it is closed it is whole: what comes later, of a notice or of a step that could not be stopped, is not part of it.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes that viewers may read: those whose index record is written."""
        ...

    def step_output(self, step: int, attempt: int) -> StepOutput: ...

    def note(self, key: str, step: int, text: str) -> None:
        """A line of Danube's own (a step's heading, its end, a notice), written once per key, also over restarts."""
        ...

    def step_range(self, step: int) -> tuple[int, int]:
        """Offsets of the first and behind the last byte that belong to a step (0, 0 where it printed nothing)."""
        ...

    def set_secrets(self, values: Sequence[bytes]) -> None:
        """Mask these from now on, in each of their forms."""
        ...

    def redact(self, text: str) -> str:
        """A text as it would stand in the log."""
        ...

    async def close(self) -> None:
        """No more output: emit what is held back, fsync. Idempotent. Raises StorageFull: close again later."""
        ...


class JobLogs(Protocol):
    """All jobs' logs: `logs/<job_id>.log` and `.idx`."""

    def open(self, job_id: str, *, secrets: Sequence[bytes], limit_bytes: int) -> JobLog:
        """Open for appending, cut to the last index record; the same object while it is open."""
        ...

    async def read(self, job_id: str, begin: int, end: int, *, step: int | None = None) -> bytes: ...

    def read_now(self, job_id: str, begin: int, end: int) -> bytes:
        """The same for a few bytes, without waiting."""
        ...

    def size(self, job_id: str, *, step: int | None = None) -> int: ...

    def time_at(self, job_id: str, offset: int) -> float | None:
        """When the byte at that offset was written, in Unix seconds."""
        ...

    async def search(self, job_id: str, text: str, *, begin: int, limit: int, match_case: bool) -> Found:
        """Lines from an offset on that hold a text, in order; bounded in hits and in time."""
        ...

    async def lines(self, job_id: str, first: int, count: int, *, step: int | None = None) -> Lines:
        """Lines by number, as a screen shows them; fewer than asked for where they are long. first: below 0 it counts from
        the end. With a step only what that step printed is the log, and offsets are within it."""
        ...

    async def sections(self, job_id: str) -> Sequence[Section]:
        """Which lines belong to which step, MAX_SECTIONS at most."""
        ...

    def follow(self, job_id: str, begin: int) -> AsyncIterator[tuple[int, bytes]]:
        """(offset, bytes) from `begin` on, as they become readable; ends when the log is closed. Never slows the writer."""
        ...
