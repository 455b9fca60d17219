"""The writer of one job's log: masks raw output, appends it, then appends the index record that makes it readable.

Bytes are written before their record, so a crash between the two loses nothing that was visible. A step keeps one
buffer of raw bytes that are not yet written; its beginning is the raw offset in the record. Parallel steps alternate at
line ends: while one step's line is open, the bytes of the others wait in their buffers, for a bounded time and size.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from danube_pkg.adapters.logs.appending import append_both
from danube_pkg.adapters.logs.dropped import ALL_ENDS_BYTES, DroppedOutput
from danube_pkg.adapters.logs.repair import open_both, restore
from danube_pkg.adapters.logs.waiting_readers import WaitingReaders
from danube_pkg.core.errors import Defect
from danube_pkg.core.logs.index import RECORD_BYTES, IndexRecord, RecordKind, note_key, usable
from danube_pkg.core.logs.redaction import BEFORE_BYTES, MASK, NO_PATTERNS, Patterns, TakesLong, redact_text
from danube_pkg.core.storage_errors import storage_error

OPEN_LINE_SECONDS = 1.0
"""How long an open line, a prompt for example, may block other steps; checked whenever one of them is fed, even
nothing."""

WAITING_BYTES = 64 * 1024
"""How much another step may have waiting before it interrupts an open line."""

UNRECORDED_BYTES = 1024**2
"""Beyond the log's size limit the raw offset is recorded once per so many dropped bytes."""

PART_BYTES = 32 * 1024
"""Output that is full of beginnings of secrets takes 60 ms for so much."""


THREAD_TRIES = 3
"""How often output is masked in a thread before the event loop does it: meanwhile another step may have ended the line
that it continued."""

_Question = tuple[bytes, bytes, Patterns, bool]
_Answer = tuple[bytes, int]
"""What is masked: the raw bytes, those before them, the patterns, whether no output follows. What `mask` returns."""


class StepWriter:
    """`core.logs.ports.StepOutput`: the output of one attempt of a step."""

    def __init__(self, log: "LogWriter", step: int, attempt: int, raw_offset: int) -> None:
        self._log = log
        self.step = step
        self.attempt = attempt
        self.pending = b""
        self.before = b""
        self.raw_begin = raw_offset
        self.recorded = raw_offset
        self.finished = False
        self.masked: tuple[_Question, _Answer] | None = None
        self.dropped = DroppedOutput()

    @property
    def raw_offset(self) -> int:
        return self.recorded

    def feed(self, offset: int, data: bytes | memoryview) -> None:
        self._add(offset, data)
        self._log.emit(self)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        self._add(offset, data)
        await self._log.emit_in_turn(self)

    def _add(self, offset: int, data: bytes | memoryview) -> None:
        if self._log.closed:
            return
        known = self.raw_begin + len(self.pending)
        if offset > known:
            raise Defect("log-gap", f"step {self.step} continued at {offset}, its log ends at {known}")
        fresh = data[known - offset :] if offset < known else data
        if fresh:
            self.pending = self.pending + fresh if self.pending else bytes(fresh)

    def before_line(self) -> bytes:
        """What stands before its next byte where that begins a line, whatever it printed last."""
        ends_line = not self.before or self.before.endswith(b"\n")
        return self.before if ends_line else self.before + b"\n"

    async def end(self) -> None:
        if not self.finished:
            await self._log.emit_in_turn(self, final=True)
            self.finish()

    def finish(self) -> None:
        if not self.finished and not self._log.closed:
            self._log.emit(self, final=True)
            self.finished = True


class LogWriter:
    """`core.logs.ports.JobLog`. Synchronous: an append to the page cache does not block for long. masking: held while
    output is masked in a thread; all logs share it, so that hostile output takes one thread of the server."""

    def __init__(
        self,
        path: Path,
        patterns: Patterns,
        limit_bytes: int,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        on_close: Callable[[], None],
        masking: asyncio.Lock,
    ) -> None:
        self.path = path
        self.masking = masking
        self._limit_bytes = limit_bytes
        self._now = now
        self._monotonic = monotonic
        self._on_close = on_close
        self._patterns = patterns
        with self._translated():
            self._log, self._index = open_both(path)
        self._steps: dict[tuple[int, int], StepWriter] = {}
        self._notes: set[int] = set()
        self._ranges: dict[int, tuple[int, int]] = {}
        self._owner: StepWriter | None = None
        self._owner_since = 0.0
        self._line_open = False
        self.readers = WaitingReaders()
        self.size_bytes = 0
        self.written_bytes = 0
        self._index_bytes = 0
        self.closed = False
        self._released = False
        self._recover()

    def _recover(self) -> None:
        index = os.pread(self._index, os.fstat(self._index).st_size, 0)
        kept = usable(index, os.fstat(self._log).st_size)
        last_records: dict[tuple[int, int], IndexRecord] = {}
        for record in kept:
            self._account(record)
            if record.kind is RecordKind.OUTPUT:
                last_records[record.step, record.attempt] = record
        self.size_bytes = kept[-1].end if kept else 0
        self._index_bytes = len(kept) * RECORD_BYTES
        os.ftruncate(self._log, self.size_bytes)
        os.ftruncate(self._index, self._index_bytes)
        for (step, attempt), record in last_records.items():
            writer = self._steps[step, attempt] = StepWriter(self, step, attempt, record.raw_offset)
            begin = max(record.begin, record.end - BEFORE_BYTES)
            writer.before = os.pread(self._log, record.end - begin, begin)
        if self.size_bytes and os.pread(self._log, 1, self.size_bytes - 1) != b"\n":
            self._line_open = True
            last = kept[-1]
            self._owner = self._steps.get((last.step, last.attempt))
            self._owner_since = self._monotonic()

    def _account(self, record: IndexRecord) -> None:
        if record.kind is RecordKind.NOTE:
            self._notes.add(record.key)
        elif record.end > record.begin:
            begin, _ = self._ranges.get(record.step, (record.begin, 0))
            self._ranges[record.step] = begin, record.end

    # --- the port

    def step_output(self, step: int, attempt: int) -> StepWriter:
        return self._steps.setdefault((step, attempt), StepWriter(self, step, attempt, 0))

    def note(self, key: str, step: int, text: str) -> None:
        named = note_key(key)
        if named not in self._notes and not self.closed:
            self._close_line()
            masked, _ = self._patterns.mask(text.encode(), final=True, before=b" ")  # its dashes are Danube's own
            self._append(masked + b"\n", RecordKind.NOTE, step, key=named)

    def has_note(self, key: str) -> bool:
        return note_key(key) in self._notes

    def step_range(self, step: int) -> tuple[int, int]:
        return self._ranges.get(step, (0, 0))

    def add_patterns(self, patterns: Patterns) -> None:
        """Mask these too; nothing is removed, since what a job has read stays masked until its log is closed."""
        if not self._released:
            self._patterns = patterns.plus(self._patterns)

    def redact(self, text: str) -> str:
        if self._released:  # what its secrets were is not known any more
            return MASK.decode() if text else ""
        return redact_text(self._patterns, text)

    async def close(self) -> None:
        """The fsync of a large log may take long, so it runs in a thread; nothing is written meanwhile."""
        if not self.closed:
            for step in self._steps.values():
                step.finish()
            if self._is_full():
                self.note("limit-at-end", 0, self._limit_text())
            self.closed = True
        if not self._released:
            await asyncio.to_thread(self._sync)
            self.abandon()
            self._on_close()

    def _sync(self) -> None:
        with self._translated():
            restore(self._log, self.path)
            restore(self._index, self.path.with_suffix(".idx"))
            os.fsync(self._log)
            os.fsync(self._index)

    def abandon(self) -> None:
        """Close the files as they are, as a crash would."""
        self.closed = True
        if not self._released:
            self._released = True
            self._patterns = NO_PATTERNS  # clear values of secrets; so is what steps have pending
            self._steps.clear()
            os.close(self._log)
            os.close(self._index)
        self.readers.wake()

    # --- writing

    async def emit_in_turn(self, step: StepWriter, *, final: bool = False) -> None:
        """As `emit`; what takes long to mask is masked in parts, in a thread."""
        try:
            self.emit(step, final=final, quick=True)
        except TakesLong:
            rest, step.pending = step.pending, b""
            try:
                while rest:
                    step.pending, rest = step.pending + rest[:PART_BYTES], rest[PART_BYTES:]
                    await self._emit_part(step, final=final and not rest)
            finally:  # where the disk is full it is tried again
                step.pending += rest

    async def _emit_part(self, step: StepWriter, *, final: bool) -> None:
        for _ in range(THREAD_TRIES):
            try:
                self.emit(step, final=final, quick=True)
                return
            except TakesLong:
                async with self.masking:
                    question = self._question(step, final)
                    step.masked = question, await asyncio.to_thread(_answer, question)
        self.emit(step, final=final)

    def emit(self, step: StepWriter, *, final: bool = False, quick: bool = False) -> None:
        """Write what may be written of the step's pending bytes, then those of steps that waited for its line to
        end. quick: raises TakesLong for a step whose bytes take long to mask, and leaves those of others to their own
        next call."""
        if self.closed:
            return
        self._emit_one(step, final=final, quick=quick)
        for other in self._steps.values():
            if self._line_open:
                return
            if other is not step and other.pending and not other.finished:
                with suppress(TakesLong):
                    self._emit_one(other, final=False, quick=quick)

    def _question(self, step: StepWriter, final: bool) -> _Question:
        before = step.before if self._owner is step else step.before_line()
        return step.pending, before, self._patterns, final

    def _emit_one(self, step: StepWriter, *, final: bool, quick: bool) -> None:
        if not step.pending:
            if final and self._owner is step:
                self._close_line()
            if final and self._is_full():
                self._keep(step, b"", step.raw_begin, final=True)
            return
        if self._owner not in (None, step) and not self._may_interrupt(step, final):
            return
        question = self._question(step, final)
        known = step.masked is not None and step.masked[0] == question
        text, consumed = step.masked[1] if step.masked and known else _answer(question, quick)
        if self._owner is not step:
            self._close_line()
            step.before = question[1]
        self._keep(step, text, step.raw_begin + consumed, final=final)
        if consumed:
            emitted = step.pending[max(0, consumed - BEFORE_BYTES) : consumed]
            step.before = (step.before + emitted)[-BEFORE_BYTES:]
            step.pending = step.pending[consumed:]
        step.raw_begin += consumed
        step.masked = None
        if final:
            self._close_line()

    def _may_interrupt(self, step: StepWriter, final: bool) -> bool:
        waited = self._monotonic() - self._owner_since >= OPEN_LINE_SECONDS
        return final or waited or len(step.pending) > WAITING_BYTES

    def _keep(self, step: StepWriter, text: bytes, raw_offset: int, *, final: bool) -> None:
        if self._is_full():
            dropped = step.dropped.plus(text)
            end = self._end_of(step, dropped) if final else b""
            if end or raw_offset - step.recorded >= UNRECORDED_BYTES or (final and raw_offset > step.recorded):
                self._append(end, RecordKind.OUTPUT, step.step, attempt=step.attempt, raw_offset=raw_offset)
                step.recorded = raw_offset
            step.dropped = DroppedOutput() if final else dropped
            return
        room = max(0, self._limit_bytes - self.size_bytes)
        if text:
            self._append(text[:room], RecordKind.OUTPUT, step.step, attempt=step.attempt, raw_offset=raw_offset)
            step.recorded = raw_offset
            self._line_open = not text.endswith(b"\n")
            self._owner = step if self._line_open else None
            self._owner_since = self._monotonic()
        if len(text) >= room:
            self._line_open = not text[:room].endswith(b"\n")
            self.note("limit", 0, self._limit_text())
            self._keep(step, text[room:], raw_offset, final=final)

    def _end_of(self, step: StepWriter, dropped: DroppedOutput) -> bytes:
        """The end of what a step printed beyond the limit, behind a line that says so; empty if there is no room."""
        end = dropped.end
        if not end or self.size_bytes + len(end) > self._limit_bytes + ALL_ENDS_BYTES:
            return b""
        text = f"--- the end of step {step.step}, of which {dropped.count} bytes were dropped"
        self.note(f"dropped:{step.step}:{step.attempt}", step.step, text)
        return end

    def _is_full(self) -> bool:
        return note_key("limit") in self._notes

    def _limit_text(self) -> str:
        return f"--- the log's limit of {self._limit_bytes / 1024**2:g} MB is reached; of later output the ends of steps are kept"

    def _close_line(self) -> None:
        """End an open line with a byte that belongs to no step, so that each step's own bytes stay exact."""
        if self._line_open:
            self._append(b"\n", RecordKind.NOTE, 0)
        self._line_open = False
        self._owner = None

    def _append(
        self, data: bytes, kind: RecordKind, step: int, *, attempt: int = 0, raw_offset: int = 0, key: int = 0
    ) -> None:
        begin = self.size_bytes
        record = IndexRecord(int(self._now() * 1e6), begin, begin + len(data), raw_offset, key, step, attempt, kind)
        encoded = record.encode()
        with self._translated():
            append_both(self._log, begin, data, self._index, self._index_bytes, encoded)
        self.size_bytes = record.end
        self.written_bytes += len(data)
        self._index_bytes += len(encoded)
        self._account(record)
        self.readers.wake_soon()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            then = "the job waits, and no output is lost"
            translated = storage_error(error, "log", self.path.name, str(self.path.parent), then=then)
            if translated is None:
                raise
            raise translated from error

    # --- readers

    async def wait_changed(self) -> None:
        """Wait until there is more to read, or the log is closed."""
        await self.readers.wait()


def _answer(question: _Question, quick: bool = False) -> _Answer:
    raw, before, patterns, final = question
    return patterns.mask(raw, final=final, before=before, quick=quick)
