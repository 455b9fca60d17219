"""Ports of job logs: the output of one step, the log of one job, all logs."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from danube_pkg.core.logs.index import Found
from danube_pkg.core.logs.lines import Lines, Section
from danube_pkg.core.logs.redaction import Patterns
from danube_pkg.kit.digests import Digest


class StepOutput(Protocol):
    """Receives one step's raw output. Appending to the page cache does not block for long; masking may.

    raw_offset: the first raw byte that is not yet in the log, from which a follower continues, also after a crash.
    """

    @property
    def raw_offset(self) -> int: ...

    def feed(self, offset: int, data: bytes | memoryview) -> None:
        """Add raw bytes at that raw offset; bytes that were fed before are skipped. Raises Defect for a gap,
        StorageFull where the same bytes must be fed again later."""
        ...

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """As `feed`; output that takes long to mask (see `Patterns.mask`) is masked in a thread."""
        ...

    def finish(self) -> None:
        """Write the bytes that are still held back, since the step has ended. Idempotent."""
        ...

    async def end(self) -> None:
        """As `finish`, masked as in `write`."""
        ...


class JobLog(Protocol):
    """One job's log: its steps append to it, secrets are masked, and any number of readers follow it.

    A closed log is complete: later output, of a step that could not be stopped for example, is dropped.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes that readers see: those with an index record."""
        ...

    def step_output(self, step: int, attempt: int) -> StepOutput: ...

    def note(self, key: str, step: int, text: str) -> None:
        """Write a line of Danube itself (a step's heading, its end, a notice), once per key, also across restarts."""
        ...

    def has_note(self, key: str) -> bool:
        """Whether a line with that key was written, by this server or an earlier one."""
        ...

    def step_range(self, step: int) -> tuple[int, int]:
        """The offsets of a step's first byte and after its last byte; (0, 0) where it printed nothing."""
        ...

    def add_patterns(self, patterns: Patterns) -> None:
        """Mask these too from now on, in each of their forms."""
        ...

    def redact(self, text: str) -> str:
        """A text with secrets masked as in the log; all of it once the log is closed, which keeps no values."""
        ...

    async def close(self) -> None:
        """Write what is held back, and fsync. Idempotent. Raises StorageFull where it must be closed again later."""
        ...


class JobLogs(Protocol):
    """All jobs' logs: `logs/<job_id>.log` and `.idx`."""

    @property
    def written_bytes(self) -> int:
        """Bytes that this process has written into logs."""
        ...

    def open(self, job_id: str, *, patterns: Patterns, limit_bytes: int) -> JobLog:
        """Open a log for appending, cut to its last index record. While it is open, the same object is returned."""
        ...

    async def check(self, job_id: str) -> None:
        """Before the log of an ended job is read: what another program removed of it is reported in the log itself.
        Raises NotFound `log-lost` where nothing is left."""
        ...

    async def digest(self, job_id: str) -> Digest:
        """Size and hash of the log's readable bytes."""
        ...

    async def sync(self, job_id: str) -> int:
        """The size of the log, once all of it is on disk: a power failure does not take these bytes. Raises OSError."""
        ...

    async def read(self, job_id: str, begin: int, end: int, *, step: int | None = None) -> bytes: ...

    def read_now(self, job_id: str, begin: int, end: int) -> bytes:
        """`read` for a few bytes, without waiting."""
        ...

    def size(self, job_id: str, *, step: int | None = None) -> int: ...

    def owners(self, job_id: str, begin: int, end: int) -> Sequence[tuple[int, int]]:
        """Whose the bytes of a range are: offsets at which those of a step begin, with the step, and 0 for lines of
        Danube itself. In order, from `begin` on."""
        ...

    def time_at(self, job_id: str, offset: int) -> float | None:
        """When the byte at that offset was written, in Unix seconds."""
        ...

    async def search(
        self, job_id: str, text: str, *, begin: int, limit: int, match_case: bool, step: int | None = None
    ) -> Found:
        """The lines in which a text is seen, from an offset on, in order; bounded in number and in time. step: only
        that step's output counts as the log, as in `lines`."""
        ...

    async def lines(self, job_id: str, first: int, count: int, *, step: int | None = None) -> Lines:
        """Lines by number, as the page shows them; fewer than `count` where they are long. first: negative numbers
        count from the end. step: only that step's output counts as the log, and offsets are within it."""
        ...

    async def sections(self, job_id: str) -> Sequence[Section]:
        """Which lines belong to which step; at most MAX_SECTIONS."""
        ...

    def follow(self, job_id: str, begin: int) -> AsyncIterator[tuple[int, bytes]]:
        """(offset, bytes) from `begin` on, as they become readable, until the log is closed. It never slows the
        writer."""
        ...
