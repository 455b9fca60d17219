"""One job's news for all who follow it: read once, encoded once, written straight to each viewer's transport.

A viewer first catches up by itself, from wherever it was to where the broadcast is, and is then attached. One that takes
too slowly is let go, catches up again at its own pace and comes back. The job never waits for anybody, and however many
watch, sending takes a bounded share of the event loop.
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
from danube_pkg.edges.http.resources.jobs import job_detail, job_summary, step_view
from danube_pkg.edges.http.server.messages import Frame, Sink
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import encode_json
from danube_pkg.services.jobs.follow import LogPart, follow_job

SLOW_BYTES = 1024**2
"""What may wait for a viewer before it is let go: four of the largest parts."""

PART_BYTES = 256 * 1024

SENDING_SHARE = 0.25
"""Of the event loop's time, at most. With 500 viewers a round of sending takes 5 ms: then there are 50 rounds a second."""

LONGEST_PAUSE_SECONDS = 0.2

_log = logging.getLogger("danube.http")


def event(name: str, data: Any, offset: int | None = None) -> bytes:
    """One server-sent event (WHATWG HTML, section 9.2); JSON has no line break of its own."""
    identity = b"id: %d\n" % offset if offset is not None else b""
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), identity, encode_json(data))


def log_event(text: str, offset: int) -> bytes:
    """Text of the log; the id is the offset behind its bytes. ASCII alone, which the C encoder makes fastest."""
    return b'event: log\nid: %d\ndata: {"text":%s}\n\n' % (offset, json.dumps(text).encode())


class Viewer:
    """One who follows. `at`: the offset behind what it has; `let_go` is set when it is not attached any more; `refused`: it may
    not see the job any more."""

    __slots__ = ("at", "let_go", "refused", "sender")

    def __init__(self, sender: Sink, at: int) -> None:
        self.sender = sender
        self.at = at
        self.refused = False
        self.let_go = asyncio.Event()


class Broadcast:
    """One job that somebody follows. `position`: the offset behind what was sent to all; `run` is its only task."""

    def __init__(self, services: Services, job: Job) -> None:
        self._services = services
        self.job = job
        self.users = 0
        self.ended = False
        self.position = self._whole_characters(services.logs.size(job.id))
        self._viewers: set[Viewer] = set()
        self._steps: dict[int, Step] = {step.sequence: step for step in job.steps}
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def _whole_characters(self, size: int) -> int:
        """Not beyond the last whole character: another part may bring the rest of it."""
        tail = self._services.logs.read_now(self.job.id, max(0, size - 3), size)
        for back in range(1, len(tail) + 1):
            byte = tail[-back]
            if byte & 0xC0 == 0xC0:
                needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                return size - back if back < needed else size
            if byte < 0x80:
                return size
        return size

    def attach(self, viewer: Viewer) -> None:
        """From now on it gets everything; it must be exactly at the position."""
        assert viewer.at == self.position
        viewer.let_go.clear()
        self._viewers.add(viewer)

    def detach(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        viewer.let_go.set()

    def snapshot(self) -> bytes:
        return event("snapshot", job_detail(self.job))

    def last_words(self) -> bytes:
        """What everybody hears at the end."""
        return event("job", job_summary(self.job)) + event("end", {"status": self.job.status})

    async def run(self) -> None:
        """Until the job has ended and its log is whole."""
        try:
            async with follow_job(self._services.engine, self._services.logs, self.job.id, self.position) as news:
                async for item in news:
                    began = time.perf_counter()
                    if isinstance(item, LogPart):
                        self._log_part(item)
                    else:
                        self._state(item)
                    if self._viewers:
                        took = time.perf_counter() - began
                        await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, took * (1 / SENDING_SHARE - 1)))
        finally:
            for viewer in list(self._viewers):
                self.detach(viewer)

    def _log_part(self, part: LogPart) -> None:
        text = self._decoder.decode(part.data)
        held, _ = self._decoder.getstate()
        if text:
            self._send(
                log_event(text, part.offset + len(part.data) - len(held)), part.offset + len(part.data) - len(held)
            )

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
            size = self._services.logs.size(job.id)
            self._send(log_event(rest, size), size)
        self.ended = True
        self._send(self.last_words())

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
    """The jobs that somebody follows now; one that nobody follows any more costs nothing."""

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
