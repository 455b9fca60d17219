"""Follows a step: from its supervisor's frames to the job's log and to the step's one authentic end.

A follower is derived from the state (each step that is placed and has not ended has one), so a restarted server has it
again. The call is always the same: `danube-step run` with the step's id, attempt and key. The supervisor starts the
command on the first call that carries it, and only follows on every later one. Nothing is polled: after a broken stream
or silence the follower connects again, from the log's raw offset.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from danube_pkg.core.errors import NotFound, Retryable, StorageUnwritable, Unavailable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.environment import job_environment, lasting_environment, merged
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE
from danube_pkg.core.jobs.step_records import end_of_step, lost_end
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.logs.ports import JobLog, StepOutput
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.pods import SUPERVISOR
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
from danube_pkg.kit.loops import Pauses, Streak, until_done
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import write_step_end, write_step_start
from danube_pkg.services.jobs.output_tail import OutputTail
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.supervisor_calls import GRACE_SECONDS, SILENCE_SECONDS, container_of

COALESCE_SECONDS = 0.005
"""After a short read wait this long for more: a program that prints line by line then costs a tenth of the work."""

FEED_BYTES = 256 * 1024
"""Output that is written into the log at once. Usual output takes half a millisecond for so much."""

TURN_SECONDS = 0.005
"""How long one read is written into the log before others have a turn. Usual output takes 2 ms for 1 MiB."""

SHORT_READ_BYTES = 64 * 1024

LOST_GRACE_SECONDS = 5.0
"""How long the runtime has to report why a container ended, before its steps end without that reason."""

OVERDUE_SECONDS = 5.0
"""After timeout and grace: SIGKILL ends a step within milliseconds, and its record takes as long on a busy machine."""

RECONNECT_PAUSES = Pauses(0.02, 2.0)
"""Short: a step's output stands still meanwhile."""

OUTPUT_PAUSES = Pauses(0.01, 2.0)
END_PAUSES = Pauses(0.1, 5.0)

_log = logging.getLogger("danube.steps")


class StepFollower:
    """Follows one attempt of one step until it has ended."""

    def __init__(self, active: ActiveJob, log: JobLog, step: Step, ports: EnginePorts) -> None:
        self._active = active
        self._log = log
        self._sequence = step.sequence
        self._attempt = step.attempt
        self._name = step.name
        self._key = ports.keys.step_key(step.id, step.attempt)
        self._step_id = step.id
        self._container = container_of(active.job.pod_id, step)
        self._ports = ports
        self._output: StepOutput = log.step_output(step.sequence, step.attempt)
        self._tail = OutputTail()
        self._end: ev.StepEnd | None = None
        self._memory_kills_before = step.memory_kills
        self._last_output_at = 0.0
        self._is_overdue = False
        self._has_record = False

    async def run(self) -> None:
        """Ends when the attempt has ended, by this follower's doing or by another event."""
        if not self._active.step(self._sequence).timeout_seconds:
            await self._follow()
            return
        await until(self._wait_overdue(), self._follow(), name=f"follow {self._step_id}")
        if self._is_open() and self._is_overdue:
            await self._end_overdue()

    async def _wait_overdue(self) -> None:
        """Returns when the supervisor should have ended the step long ago. It counts the timeout; but it is in the
        container, so that is not left to it alone."""
        await self._active.wait_until(lambda job: self._has_started())
        step = self._active.step(self._sequence)
        passed = self._ports.clock.now() - (step.started_at or 0) if self._attempt == 1 else 0
        await self._ports.clock.sleep(max(0, step.timeout_seconds - passed) + GRACE_SECONDS + OVERDUE_SECONDS)
        if self._has_record:  # what it has changed is being kept
            await self._active.wait_until(lambda job: not self._is_open())
        self._is_overdue = True

    def _has_started(self) -> bool:
        step = self._active.step(self._sequence)
        return step.attempt == self._attempt and step.phase is StepPhase.STARTED

    async def _end_overdue(self) -> None:
        """End the container: there is no other way left to end the step. Its other steps end with it."""
        step = self._active.step(self._sequence)
        _log.error("step-overdue", extra={"fields": self._fields(seconds=str(step.timeout_seconds))})
        message = f"took longer than its {step.timeout_seconds} s and was ended with its container"
        end = ev.StepEnd(Status.TIMEOUT, Reason.STEP_TIMEOUT, message)
        self._active.steps.keep_end(ev.StepEnded(self._sequence, self._attempt, end))
        others = f"its container was ended, since step {self._sequence} did not end after its timeout"
        kill = partial(self._ports.runtime.end_container, self._container, Reason.POD_LOST, others)
        await until_done(kill, self._streak("step-overdue", END_PAUSES), self._ports.timing, expected=(Retryable,))
        await self._finish(end)

    async def _follow(self) -> None:
        streak = self._streak("step-stream", RECONNECT_PAUSES)
        while self._is_open():
            try:
                progressed = await self._follow_once()
            except NotFound as error:
                await self._container_is_gone(error.what)
                return
            except (Retryable, ProtocolViolation) as error:
                self._ports.reconnects.count("step")
                pause = streak.failed(error)
            else:
                if progressed:
                    streak.succeeded()
                pause = streak.pause()
            if self._is_open():
                await self._ports.clock.sleep(pause)

    def _streak(self, event: str, pauses: Pauses) -> Streak:
        return Streak(event, self._ports.timing, pauses, log=_log, fields=self._fields())

    def _fields(self, **more: str) -> dict[str, object]:
        return {"job": self._active.job.id, "step": self._sequence, "attempt": self._attempt, **more}

    def _is_open(self) -> bool:
        step = self._active.step(self._sequence)
        return step.attempt == self._attempt and step.phase in (StepPhase.PLACED, StepPhase.STARTED)

    async def _follow_once(self) -> bool:
        """One connection; True when something arrived through it."""
        stream = await self._ports.runtime.exec(self._container, (SUPERVISOR, "run"))
        try:
            request = self._active.steps.request_of(self._sequence)
            await stream.write(encode_request(self._spec(request), self._output.raw_offset))
            return await self._read_frames(stream, command_sent=request is not None)
        finally:
            await stream.close()

    def _spec(self, request: StepRequest | None) -> StepSpec:
        return StepSpec(
            step_id=self._step_id,
            attempt=self._attempt,
            key=self._key,
            command=request.command if request else None,
            environment=self._environment(request) if request else {},
            working_directory=request.working_directory if request else "",
            shell=request.shell if request else "",
            timeout_ms=request.timeout_seconds * 1000 if request else 0,
            grace_ms=int(GRACE_SECONDS * 1000),
        )

    def _environment(self, request: StepRequest) -> Mapping[str, str]:
        """What the command knows of its job, its way to the network, and its own variables, which replace others. A
        command whose snapshot later jobs restore knows nothing that differs from job to job."""
        job = self._active.job
        proxy = self._ports.egress.environment(job, self._sequence)
        if request.snapshot:
            return {**merged(lasting_environment(job), proxy), **request.environment}
        trace = self._ports.trace_environment(job, self._sequence)
        return {**merged(job_environment(job, self._ports.external_url), proxy, trace), **request.environment}

    async def _read_frames(self, stream: ExecStream, *, command_sent: bool) -> bool:
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
                        await self._write_held_lines(stream)
                    case Ended(payload):
                        await self._ended(bytes(payload))
                        await self._acknowledge(stream)
                        return True
                    case Refused(code, message):
                        return await self._refused(code, message, command_sent=command_sent)
                progressed = True
            if printed:
                await self._acknowledge(stream)
                await self._coalesce(len(data))

    async def _acknowledge(self, stream: ExecStream) -> None:
        """Report the offset up to which the log has the output.

        At the start too: output that the server before this one had stored and could not acknowledge any more may fill
        the supervisor's whole ring buffer, and the step then waits for this. And at the end: only an output that is
        acknowledged to its last byte leaves the supervisor's memory. A supervisor that does not read any more reports
        why by its frames.
        """
        with contextlib.suppress(Unavailable):
            await stream.write(encode_ack(self._output.raw_offset))

    async def _write_held_lines(self, stream: ExecStream) -> None:
        """A line that is held back until another step's line ends is written when it was held for long enough."""
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
            write_step_start(self._log, self._sequence, self._attempt, self._name, self._container.image)
        await self._active.apply(ev.StepStarted(self._sequence, self._attempt, self._ports.clock.now()))

    async def _feed(self, offset: int, data: bytes | memoryview) -> None:
        """Write output into the log. Other tasks run between its parts when they have waited for long enough: each of
        a job's viewers has more work after a part than the part took."""
        began = self._ports.clock.monotonic()
        await self._feed_part(offset, data[:FEED_BYTES])
        for begin in range(FEED_BYTES, len(data), FEED_BYTES):
            if (now := self._ports.clock.monotonic()) - began >= TURN_SECONDS:
                await asyncio.sleep(0)
                began = now
            await self._feed_part(offset + begin, data[begin : begin + FEED_BYTES])

    async def _feed_part(self, offset: int, data: bytes | memoryview) -> None:
        """While the disk is full nothing is acknowledged, and the step waits."""
        self._tail.add(offset, data)
        try:
            await self._output.write(offset, data)
        except StorageUnwritable:
            await self._until_stored(partial(self._output.write, offset, data), OUTPUT_PAUSES)

    async def _until_stored(self, work: Callable[[], Awaitable[None]], pauses: Pauses) -> None:
        streak = self._streak("step-log-write", pauses)
        await until_done(work, streak, self._ports.timing, expected=(StorageUnwritable,))

    async def _ended(self, payload: bytes) -> None:
        step = self._active.step(self._sequence)
        try:
            record = verify_record(payload, self._key, self._step_id, self._attempt)
        except InauthenticRecord as error:
            _log.error("record-not-authentic", extra={"fields": self._fields(cause=str(error))})
            await self._finish(lost_end("its record is not authentic, so its end is not known"))
            return
        kills = await self._ports.runtime.memory_kills(self._container) - self._memory_kills_before
        self._active.steps.keep_output(self._sequence, self._attempt, self._tail.last_of(record.output_bytes))
        full = await self._ports.runtime.workspace_full(self._container)
        end = end_of_step(step, record, memory_kills=kills, workspace_full=full)
        self._active.steps.keep_end(ev.StepEnded(self._sequence, self._attempt, end))
        self._has_record = True
        capture = self._active.captures.pop(self._sequence, None)
        snapshot = await capture.keep(step, end, self._tail.last_of(record.output_bytes)) if capture is not None else ""
        await self._finish(end, snapshot)

    async def _finish(self, end: ev.StepEnd, snapshot: str = "") -> None:
        """The rest of the output, then the end, then its line in the log.

        A client that sees the end can read the whole output; and the log never shows an end that is not stored.
        """

        async def store() -> None:
            await self._output.end()
            await self._ports.egress.note_step(self._active.job, self._log, self._sequence)
            await self._active.apply(ev.StepEnded(self._sequence, self._attempt, end, snapshot))

        try:
            await store()
        except StorageUnwritable:
            await self._until_stored(store, END_PAUSES)
        self._end = end
        self.conclude()

    def conclude(self) -> None:
        """Write output that is held back, and the attempt's last line, whichever event ended it. On a full disk the end
        of the job does it."""
        step = self._active.step(self._sequence)
        end = step.end if step.attempt == self._attempt else self._end
        try:
            self._output.finish()
            if end is not None and self._sequence != COORDINATOR_SEQUENCE:
                write_step_end(self._log, step, self._attempt, end)
        except StorageUnwritable as error:
            _log.error("log-disk-full", extra={"fields": self._fields(cause=str(error))})

    async def _refused(self, code: str, message: str, *, command_sent: bool) -> bool:
        """A step that its supervisor does not know was never started: the coordinator's repeated call brings its
        command."""
        if code == "unknown-step" and not command_sent:
            await self._active.wait_until(
                lambda job: self._active.steps.request_of(self._sequence) is not None or not self._is_open()
            )
            return True
        _log.error("step-refused", extra={"fields": self._fields(code=code, cause=message)})
        await self._finish(lost_end(f"its supervisor refused it: {message} ({code})"))
        return True

    async def _container_is_gone(self, what: str) -> None:
        """The runtime's watch may report a better reason; it gets some seconds for it."""
        try:
            async with asyncio.timeout(LOST_GRACE_SECONDS):
                await self._active.wait_until(lambda job: not self._is_open())
        except TimeoutError:
            lost = self._active.end_of_container(self._container.number, f"its container is gone: {what}")
            await self._active.apply_lost(lost)
