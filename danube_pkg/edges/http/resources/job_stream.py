"""The events of one job for all its viewers: read once, encoded once, written to each viewer's transport.

A viewer first catches up by itself, from where it is to the broadcast's position, and is then attached. A viewer that
reads too slowly is detached, catches up again at its own pace and is attached again. So no viewer delays the job or
another viewer, and sending takes a bounded share of the event loop, however many viewers there are.
"""

import asyncio
import codecs
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.edges.http.server.messages import Frame, Sink
from danube_pkg.edges.http.services import Services
from danube_pkg.edges.http.views.jobs import job_detail, job_summary, step_view
from danube_pkg.kit.records import encode_json
from danube_pkg.services.jobs.follow import LogPart, follow_job

SLOW_BYTES = 1024**2
"""How much may wait for a viewer before it is detached: four of the largest parts."""

PART_BYTES = 256 * 1024

SENDING_SHARE = 0.25
"""The largest share of the event loop's time. With 500 viewers a round of sending takes 5 ms: then 50 rounds a
second."""

LONGEST_PAUSE_SECONDS = 0.2

_log = logging.getLogger("danube.http")


def event(name: str, data: Any, offset: int | None = None) -> bytes:
    """One server-sent event (WHATWG HTML, section 9.2); JSON has no line break of its own."""
    identity = b"id: %d\n" % offset if offset is not None else b""
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), identity, encode_json(data))


def log_event(text: str, offset: int, step: int | None = None) -> bytes:
    """Text of the log; the id is the offset behind its bytes. ASCII only, which json's C encoder writes fastest. step:
    whose it is, while steps run side by side; 0 for Danube's own lines."""
    whose = b',"step":%d' % step if step is not None else b""
    return b'event: log\nid: %d\ndata: {"text":%s%s}\n\n' % (offset, json.dumps(text).encode(), whose)


class Viewer:
    """A client that follows a job. at: the offset behind what it has. detached: set while it is not attached to the
    broadcast. refused: it may no longer see the job."""

    __slots__ = ("at", "detached", "refused", "sender")

    def __init__(self, sender: Sink, at: int) -> None:
        self.sender = sender
        self.at = at
        self.refused = False
        self.detached = asyncio.Event()


class Broadcast:
    """A job that has viewers. position: the offset behind what was sent to the attached ones. `run` is its only task;
    over: it has ended, at the job's end or by a failure."""

    def __init__(self, services: Services, job: Job) -> None:
        self._services = services
        self.job = job
        self.users = 0
        self.ended = False
        self.over = False
        self.position = self._whole_characters(services.jobs.logs.size(job.id))
        self._viewers: set[Viewer] = set()
        self._steps: dict[int, Step] = {step.sequence: step for step in job.steps}
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def _whole_characters(self, size: int) -> int:
        """The offset behind the last whole UTF-8 character; the rest of a cut one comes with the next part."""
        tail = self._services.jobs.logs.read_now(self.job.id, max(0, size - 3), size)
        for back in range(1, len(tail) + 1):
            byte = tail[-back]
            if byte & 0xC0 == 0xC0:
                needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                return size - back if back < needed else size
            if byte < 0x80:
                return size
        return size

    def attach(self, viewer: Viewer) -> None:
        """Send it everything from now on. It must be exactly at the position."""
        assert viewer.at == self.position
        viewer.detached.clear()
        self._viewers.add(viewer)

    def detach(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        viewer.detached.set()

    def snapshot(self) -> bytes:
        return event("snapshot", job_detail(self.job))

    def last_events(self) -> bytes:
        """The events at the end of every stream: `job` and `end`."""
        return event("job", job_summary(self.job)) + event("end", {"status": self.job.status})

    async def run(self) -> None:
        """Until the job has ended and its log is whole."""
        try:
            async with follow_job(
                self._services.jobs.engine, self._services.jobs.logs, self.job.id, self.position
            ) as changes:
                async for change in changes:
                    began = time.perf_counter()
                    if isinstance(change, LogPart):
                        self._log_part(change)
                    else:
                        self._state(change)
                    if self._viewers:
                        took = time.perf_counter() - began
                        await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, took * (1 / SENDING_SHARE - 1)))
        finally:
            self.over = True
            for viewer in list(self._viewers):
                self.detach(viewer)

    def _log_part(self, part: LogPart) -> None:
        end = part.offset
        for data, step in part.runs():
            end += len(data)
            text = self._decoder.decode(data)
            held, _ = self._decoder.getstate()
            if text:
                offset = end - len(held)
                self._send(log_event(text, offset, step), offset)

    def _state(self, job: Job) -> None:
        known, self.job = self.job, job
        changed = [step for step in job.steps if step.sequence and self._steps.get(step.sequence) != step]
        self._steps.update((step.sequence, step) for step in changed)
        for step in changed:
            self._send(event("step", step_view(step)))
        if not job.status.ended:
            if job_summary(job) != job_summary(known):
                self._send(event("job", job_summary(job)))
            return
        if rest := self._decoder.decode(b"", final=True):
            size = self._services.jobs.logs.size(job.id)
            self._send(log_event(rest, size), size)
        self.ended = True
        self._send(self.last_events())

    def _send(self, data: bytes, position: int | None = None) -> None:
        frame = Frame(data)
        if position is not None:
            self.position = position
        for viewer in list(self._viewers):
            if viewer.sender.waiting_bytes > SLOW_BYTES:
                self.detach(viewer)
                continue
            viewer.sender.write(frame)
            viewer.at = self.position


class Broadcasts:
    """The broadcasts of all jobs that have viewers. One ends when its last viewer leaves."""

    def __init__(self, services: Services, start: Callable[[str, Any], "asyncio.Task[None]"]) -> None:
        self._services = services
        self._start = start
        self._running: dict[str, tuple[Broadcast, asyncio.Task[None]]] = {}

    def join(self, job: Job) -> Broadcast:
        if job.id not in self._running or self._running[job.id][1].done():
            broadcast = Broadcast(self._services, job)
            self._running[job.id] = broadcast, self._start(f"broadcast {job.id}", broadcast.run())
        broadcast = self._running[job.id][0]
        broadcast.users += 1
        return broadcast

    def leave(self, broadcast: Broadcast) -> None:
        broadcast.users -= 1
        known = self._running.get(broadcast.job.id)
        if broadcast.users == 0 and known is not None and known[0] is broadcast:
            del self._running[broadcast.job.id]
            known[1].cancel()
