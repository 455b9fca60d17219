"""Following a step: from a supervisor's frames to the job's log and to the step's one authentic end.

A follower is derived from the state (a step that is placed and has not ended has one), so a restart simply has it again.
The call is always the same: `danube-step run` with the step's id, attempt and key; the supervisor starts the command on
the first such call that carries it and only follows on every later one. Nothing is polled: a broken stream or silence
means connect again, from the log's raw offset.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque

from danube_pkg.core.errors import NotFound, PlatformError, Retryable, StorageFull, Unavailable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.coordination import MAX_OUTPUT_BYTES, StepRequest
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.step_records import end_of_step, lost
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.logs.ports import JobLog, StepOutput
from danube_pkg.core.runtimes.pods import SUPERVISOR, Container, ContainerRole
from danube_pkg.core.runtimes.ports import ExecStream
from danube_pkg.core.runtimes.supervisor import (
    Ended,
    FrameParser,
    Heartbeat,
    InauthenticRecord,
    Output,
    ProtocolViolation,
    Refused,
    Started,
    StepSpec,
    encode_ack,
    encode_request,
    verify_record,
)
from danube_pkg.kit.backoff import Backoff
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.ports import EnginePorts

SILENCE_SECONDS = 10.0
"""The supervisor's heartbeat comes every 2 s; five missed ones mean a dead connection."""

COALESCE_SECONDS = 0.005
"""After a short read wait this long for more: a program that prints line by line then costs a tenth of the work."""

SHORT_READ_BYTES = 64 * 1024

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL, for a timeout and for a stop."""

LOST_GRACE_SECONDS = 5.0
"""How long the runtime has to say why a container is gone before the step ends without a better reason."""

_log = logging.getLogger("danube.steps")


class _Tail:
    """The last MAX_OUTPUT_BYTES of what a step printed, for its result."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.end = 0

    def add(self, offset: int, data: bytes | memoryview) -> None:
        if offset > self.end:
            self._chunks.clear()
            self._size = 0
        fresh = data[max(0, self.end - offset) :] if offset <= self.end else data
        if not fresh:
            return
        chunk = bytes(fresh[-MAX_OUTPUT_BYTES:])
        self._chunks.append(chunk)
        self._size += len(chunk)
        self.end = offset + len(data)
        while self._size - len(self._chunks[0]) >= MAX_OUTPUT_BYTES:
            self._size -= len(self._chunks.popleft())

    def bytes_of(self, total: int) -> bytes | None:
        """The last bytes of an output of `total` bytes; None when this server did not see all of them."""
        wanted = min(total, MAX_OUTPUT_BYTES)
        if self.end != total or self._size < wanted:
            return None
        held = b"".join(self._chunks)
        return held[len(held) - wanted :]


class StepFollower:
    """Follows one attempt of one step until it has ended."""

    def __init__(self, live: ActiveJob, log: JobLog, step: Step, container: Container, ports: EnginePorts) -> None:
        self._live = live
        self._log = log
        self._sequence = step.sequence
        self._attempt = step.attempt
        self._name = step.name
        self._key = ports.keys.step_key(step.id, step.attempt)
        self._step_id = step.id
        self._container = container
        self._ports = ports
        self._output: StepOutput = log.step_output(step.sequence, step.attempt)
        self._tail = _Tail()
        self._end: ev.StepEnd | None = None
        self._memory_kills_before = step.memory_kills
        self._last_output_at = 0.0

    async def run(self) -> None:
        """Ends when the step has ended, by this follower's doing or by another event."""
        backoff = Backoff(0.02, 2.0, random.random)
        while self._is_open():
            try:
                progressed = await self._follow_once()
            except NotFound as error:
                await self._container_is_gone(error.what)
                return
            except (Retryable, ProtocolViolation) as error:
                progressed = False
                _log.warning("step-stream-broken", extra={"fields": self._fields(cause=str(error))})
            if progressed:
                backoff.reset()
            if self._is_open():
                await self._ports.clock.sleep(backoff.next())

    def _fields(self, **more: str) -> dict[str, object]:
        return {"job": self._live.job.id, "step": self._sequence, "attempt": self._attempt, **more}

    def _is_open(self) -> bool:
        step = self._live.step(self._sequence)
        return step.attempt == self._attempt and step.phase in (StepPhase.PLACED, StepPhase.STARTED)

    async def _follow_once(self) -> bool:
        """One connection; True when something came through it."""
        stream = await self._ports.runtime.exec(self._container, (SUPERVISOR, "run"))
        try:
            request = self._live.memory(self._sequence).request
            await stream.write(encode_request(self._spec(request), self._output.raw_offset))
            return await self._read_frames(stream, handed_over=request is not None)
        finally:
            await stream.close()

    def _spec(self, request: StepRequest | None) -> StepSpec:
        network = self._ports.egress.environment(self._live.job, self._sequence)
        return StepSpec(
            step_id=self._step_id,
            attempt=self._attempt,
            key=self._key,
            command=request.command if request else None,
            environment={**network, **request.environment} if request else {},
            working_directory=request.working_directory if request else "",
            timeout_ms=request.timeout_seconds * 1000 if request else 0,
            grace_ms=int(GRACE_SECONDS * 1000),
        )

    async def _read_frames(self, stream: ExecStream, *, handed_over: bool) -> bool:
        parser = FrameParser()
        progressed = False
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    data = await stream.read()
            except TimeoutError:
                return progressed
            if not data:
                return progressed
            printed = False
            for frame in parser.feed(data):
                match frame:
                    case Started():
                        await self._started()
                        await self._acknowledge(stream)
                    case Output(offset, payload):
                        await self._feed(offset, payload)
                        printed = True
                    case Heartbeat():
                        await self._speak_up(stream)
                    case Ended(payload):
                        await self._ended(bytes(payload))
                        await self._acknowledge(stream)
                        return True
                    case Refused(code, message):
                        return await self._refused(code, message, handed_over=handed_over)
                progressed = True
            if printed:
                await self._acknowledge(stream)
                await self._coalesce(len(data))

    async def _acknowledge(self, stream: ExecStream) -> None:
        """What the log has. Said at the beginning too: what the server before this one had recorded and could not
        acknowledge any more may fill the whole ring, and then the step waits for this word. And at the end: only an output
        that is acknowledged to its last byte leaves the supervisor's memory.

        A supervisor that listens no more says what it has to say by its frames."""
        with contextlib.suppress(Unavailable):
            await stream.write(encode_ack(self._output.raw_offset))

    async def _speak_up(self, stream: ExecStream) -> None:
        """What waited for another step's line to end may have waited long enough, or was written when that ended."""
        await self._feed(self._tail.end, b"")
        await self._acknowledge(stream)

    async def _coalesce(self, read_bytes: int) -> None:
        """Only a stream of short reads waits; a lone line and the end of a short step are passed on at once."""
        now = self._ports.clock.monotonic()
        since, self._last_output_at = now - self._last_output_at, now
        if read_bytes < SHORT_READ_BYTES and since < 4 * COALESCE_SECONDS:
            await self._ports.clock.sleep(COALESCE_SECONDS)

    async def _started(self) -> None:
        if self._sequence != COORDINATOR_SEQUENCE:
            again = f", attempt {self._attempt}" if self._attempt > 1 else ""
            heading = f'--- step {self._sequence} "{one_line(self._name)}" ({self._container.image}){again}'
            self._log.note(f"start:{self._sequence}:{self._attempt}", self._sequence, heading)
        await self._live.apply(ev.StepStarted(self._sequence, self._attempt, self._ports.clock.now()))

    async def _feed(self, offset: int, data: bytes | memoryview) -> None:
        """Into the log; while the disk is full or another step's line is open, nothing is acknowledged and the step waits."""
        backoff = Backoff(0.01, 2.0, random.random)
        self._tail.add(offset, data)
        while True:
            try:
                self._output.feed(offset, data)
                return
            except StorageFull as error:
                _log.error("log-disk-full", extra={"fields": self._fields(cause=str(error))})
                await self._ports.clock.sleep(backoff.next())

    async def _ended(self, payload: bytes) -> None:
        step = self._live.step(self._sequence)
        try:
            record = verify_record(payload, self._key, self._step_id, self._attempt)
        except InauthenticRecord as error:
            _log.error("record-not-authentic", extra={"fields": self._fields(cause=str(error))})
            await self._finish(lost("its record is not authentic, so its end is not known"))
            return
        kills = await self._ports.runtime.memory_kills(self._container) - self._memory_kills_before
        self._live.keep_output(self._sequence, self._attempt, self._tail.bytes_of(record.output_bytes))
        end = end_of_step(step, record, memory_kills=kills)
        self._live.memory(self._sequence).end = ev.StepEnded(self._sequence, self._attempt, end)
        await self._finish(end)

    async def _finish(self, end: ev.StepEnd) -> None:
        """The rest of the output first, then the end: whoever sees the end can read all that it printed. The line that tells
        it comes last: a log must not claim what no record came to say."""
        backoff = Backoff(0.1, 5.0, random.random)
        while True:
            try:
                self._output.finish()
                await self._ports.egress.note_step(self._live.job, self._log, self._sequence)
                await self._live.apply(ev.StepEnded(self._sequence, self._attempt, end))
                break
            except StorageFull as error:
                _log.error("log-disk-full", extra={"fields": self._fields(cause=str(error))})
                await self._ports.clock.sleep(backoff.next())
        self._end = end
        self.conclude()

    def conclude(self) -> None:
        """What is held back, and the attempt's last line, whichever event ended it. The job's end repeats it if need be."""
        step = self._live.step(self._sequence)
        end = step.end if step.attempt == self._attempt else self._end
        try:
            self._output.finish()
            if end is not None and self._sequence != COORDINATOR_SEQUENCE:
                write_step_end(self._log, self._sequence, self._attempt, end)
        except StorageFull as error:
            _log.error("log-disk-full", extra={"fields": self._fields(cause=str(error))})

    async def _refused(self, code: str, message: str, *, handed_over: bool) -> bool:
        """An unknown step was never claimed: it waits for the coordinator's repeated call, which brings the command."""
        if code == "unknown-step" and not handed_over:
            await self._live.wait_until(
                lambda job: self._live.memory(self._sequence).request is not None or not self._is_open()
            )
            return True
        _log.error("step-refused", extra={"fields": self._fields(code=code, cause=message)})
        await self._finish(lost(f"its supervisor refused it: {message} ({code})"))
        return True

    async def _container_is_gone(self, what: str) -> None:
        """The runtime's watch knows the reason better; it gets a moment to say it."""
        try:
            async with asyncio.timeout(LOST_GRACE_SECONDS):
                await self._live.wait_until(lambda job: not self._is_open())
        except TimeoutError:
            lost = self._live.end_of_container(self._container.number, f"its container is gone: {what}")
            await self._live.apply_lost(lost)


async def stop_step(live: ActiveJob, step: Step, container: Container, ports: EnginePorts) -> bool:
    """End a step's whole tree: TERM, then KILL. Returns when it is gone or cannot be reached; its follower sees the end.

    True when its supervisor knows the step, so that its follower will see how it ended.
    """
    spec = StepSpec(
        step_id=step.id,
        attempt=step.attempt,
        key=ports.keys.step_key(step.id, step.attempt),
        grace_ms=int(GRACE_SECONDS * 1000),
    )
    parser, known = FrameParser(), False
    try:
        stream = await ports.runtime.exec(container, (SUPERVISOR, "kill"))
        try:
            await stream.write(encode_request(spec, 2**63 - 1, kill=True))
            while data := await stream.read():
                known |= any(isinstance(frame, Started) for frame in parser.feed(data))
        finally:
            await stream.close()
    except PlatformError as error:
        fields = {"job": live.job.id, "step": step.sequence, "cause": str(error)}
        _log.info("step-not-stopped", extra={"fields": fields})
    return known


async def read_output_again(step: Step, container: Container, ports: EnginePorts) -> bytes | None:
    """The end of an ended step's output, from its supervisor, for a call that is repeated after a restart."""
    total = step.end.output_bytes if step.end else 0
    spec = StepSpec(step_id=step.id, attempt=step.attempt, key=ports.keys.step_key(step.id, step.attempt))
    tail = _Tail()
    try:
        stream = await ports.runtime.exec(container, (SUPERVISOR, "run"))
        try:
            await stream.write(encode_request(spec, max(0, total - MAX_OUTPUT_BYTES)))
            parser = FrameParser()
            async with asyncio.timeout(SILENCE_SECONDS):
                while data := await stream.read():
                    for frame in parser.feed(data):
                        if isinstance(frame, Output):
                            tail.add(frame.offset, frame.data)
                        if isinstance(frame, Ended):
                            return tail.bytes_of(total)
        finally:
            await stream.close()
    except (TimeoutError, PlatformError) as error:
        _log.info("output-not-read-again", extra={"fields": {"step": step.id, "cause": str(error)}})
    return None


def write_step_end(log: JobLog, sequence: int, attempt: int, end: ev.StepEnd) -> None:
    """The line that closes a step in the log."""
    took = f" in {end.wall_us / 1e6:.1f} s" if end.wall_us else ""
    why = f": {end.message}" if end.message else f": exit code {end.exit_code}" if end.exit_code else ""
    log.note(f"end:{sequence}:{attempt}", sequence, f"--- step {sequence} {end.status}{took}{why}")


def one_line(text: str) -> str:
    """For a heading: no line breaks, no control characters, bounded."""
    cleaned = "".join(c if c.isprintable() else " " for c in text)
    return cleaned if len(cleaned) <= 120 else cleaned[:117] + "..."


def container_of(pod_id: str, step: Step) -> Container:
    """The instance that a placed step was handed to."""
    role = ContainerRole.COORDINATOR if step.sequence == COORDINATOR_SEQUENCE else ContainerRole.WORKER
    return Container(pod_id, step.container or 0, role, step.image)


def coordinator_request(job: Job, command: str, now: float) -> StepRequest:
    """The coordinator's program is a step like any other, with a bound of its own that needs no server."""
    left = int((job.deadline_at or 0.0) - now) + int(2 * GRACE_SECONDS)
    return StepRequest(
        sequence=COORDINATOR_SEQUENCE,
        name=job.settings.script,
        command=command,
        image="",
        environment={},
        working_directory="/workspace",
        timeout_seconds=max(1, left),
        retries=0,
        check=True,
    )
