"""Collects spans of jobs and requests, and sends them in batches. Without `observability.traces_enabled` it does
nothing."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.traces.ports import SpanSender
from danube_pkg.core.traces.spans import (
    Period,
    Span,
    is_sampled,
    job_spans,
    read_traceparent,
    request_span,
    step_traceparent,
)
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import replace
from danube_pkg.kit.tallies import Tally

BATCH_SPANS = 512
"""About 200 KB as JSON; receivers accept a few megabytes."""

BATCH_SECONDS = 5.0
"""How long a span waits for others."""

WAITING_SPANS = 10_000
"""Spans that wait for a receiver that is unreachable, about 5 MB; older ones are dropped, and counted."""

PAUSES = Pauses(1.0, 60.0)

_log = EventLog("danube.traces")


class Tracer:
    """redact: masks secrets and e-mail addresses in names, which authors choose. source_of: when a job's source tree
    was prepared. randomness: gives so many random bytes, for ids of requests."""

    def __init__(
        self,
        applied: AppliedConfiguration,
        sender: SpanSender,
        timing: Timing,
        redact: Callable[[str], str],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._applied = applied
        self._sender = sender
        self._timing = timing
        self._redact = redact
        self._randomness = randomness
        self._waiting: deque[Span] = deque(maxlen=WAITING_SPANS)
        self._wanted = asyncio.Event()
        self._problem: Permanent | Unavailable | None = None
        self.outcomes = Tally()
        """Spans by `sent` and `dropped`."""

    @property
    def is_on(self) -> bool:
        observability = self._applied.config.observability
        return observability.traces_enabled and bool(observability.otel_endpoint)

    async def conditions(self) -> Sequence[Condition]:
        """Why traces are not received."""
        observability = self._applied.config.observability
        if observability.traces_enabled and not observability.otel_endpoint:
            hint = "config.yaml: observability.otel_endpoint: http://localhost:4318"
            return (Condition("traces-not-sent", "traces are enabled, and no receiver is configured", hint),)
        problem = self._problem if self.is_on else None
        return (Condition(problem.reference, str(problem), problem.hint),) if problem is not None else ()

    # --- what is traced

    def environment(self, job: Job, sequence: int) -> Mapping[str, str]:
        """The environment variable that a step's own spans are joined by."""
        if not self.is_on:
            return {}
        return {"TRACEPARENT": step_traceparent(job.id, sequence, self._ratio)}

    def job_changed(self, job: Job, source: Period | None) -> None:
        """A job's new state. It is settled once; after a restart again, where its pod is kept, with the same spans.
        source: when its tree was prepared."""
        if job.is_settled and self.is_on:
            spans = job_spans(job, self._timing.clock.now(), source)
            if is_sampled(spans[0].trace_id, self._ratio):
                self._add(spans)

    def request_done(self, method: str, route: str, status: int, seconds: float, traceparent: str) -> None:
        """An answered request. traceparent: the request's header, "" without one."""
        if not self.is_on:
            return
        parent = read_traceparent(traceparent)
        ids = self._randomness(16).hex(), self._randomness(8).hex()
        if parent.sampled if parent is not None else is_sampled(ids[0], self._ratio):
            now = self._timing.clock.now()
            self._add([request_span(method, route, status, (now - seconds, now), ids, parent)])

    @property
    def _ratio(self) -> float:
        return self._applied.config.observability.traces_sample_ratio

    def _add(self, spans: Sequence[Span]) -> None:
        dropped = max(0, len(self._waiting) + len(spans) - WAITING_SPANS)
        if dropped:
            self.outcomes.count("dropped", dropped)
        self._waiting.extend(spans)
        if len(self._waiting) >= BATCH_SPANS:
            self._wanted.set()

    # --- sending

    async def follow(self) -> None:
        """Send what waits, until cancelled."""
        streak = Streak("traces-send", self._timing, PAUSES, log=_log.logger)
        await for_ever(self.send_waiting, streak, self._timing, expected=(Unavailable,), wake=self._wanted)

    async def send_waiting(self) -> float:
        """The answer is the pause in seconds until the next batch. Raises Unavailable: the spans are kept."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_SPANS, len(self._waiting)))]
            try:
                await self._sender.send(
                    self._applied.config.observability.otel_endpoint, [self._masked(one) for one in batch]
                )
            except Permanent as error:  # the same spans would be refused again
                self._problem = error
                self.outcomes.count("dropped", len(batch))
                _log.warning("traces-refused", spans=len(batch), cause=str(error), hint=error.hint)
            except Unavailable as error:
                self._problem = error
                self._waiting.extendleft(reversed(batch[: WAITING_SPANS - len(self._waiting)]))
                raise
            else:
                self._problem = None
                self.outcomes.count("sent", len(batch))
        return BATCH_SECONDS

    def _masked(self, span: Span) -> Span:
        attributes = {key: self._redact(one) if isinstance(one, str) else one for key, one in span.attributes.items()}
        return replace(span, name=self._redact(span.name), attributes=attributes)
