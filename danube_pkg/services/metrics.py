"""Sends the metrics to a receiver in intervals. Without `observability.metrics_push_enabled` it does nothing."""

from collections.abc import Callable, Sequence

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.metrics.points import MetricPoints, Period
from danube_pkg.core.metrics.ports import MetricSender
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever

PAUSES = Pauses(1.0, 60.0)

OFF_SECONDS = 5.0
"""How soon a change of the configuration is noticed, which may switch it on or name a shorter interval."""

_log = EventLog("danube.metrics")


class MetricPush:
    """Nothing is kept for a receiver that is unreachable: the next state has all that was counted meanwhile."""

    def __init__(self, applied: AppliedConfiguration, sender: MetricSender, timing: Timing) -> None:
        self._applied = applied
        self._sender = sender
        self._timing = timing
        self._began = timing.clock.now()
        self._problem: Permanent | Unavailable | None = None

    @property
    def is_on(self) -> bool:
        """Whether the configuration wants it and names a receiver."""
        observability = self._applied.config.observability
        return observability.metrics_push_enabled and bool(observability.otel_endpoint)

    async def conditions(self) -> Sequence[Condition]:
        """Why metrics are not received."""
        observability = self._applied.config.observability
        if observability.metrics_push_enabled and not observability.otel_endpoint:
            hint = "config.yaml: observability.otel_endpoint: http://localhost:4318"
            return (Condition("metrics-not-sent", "metrics are to be sent, and no receiver is configured", hint),)
        problem = self._problem if self.is_on else None
        return (Condition(problem.reference, str(problem), problem.hint),) if problem is not None else ()

    async def follow(self, collect: Callable[[], Sequence[MetricPoints]]) -> None:
        """Send what `collect` returns, until cancelled."""
        streak = Streak("metrics-send", self._timing, PAUSES, log=_log.logger)

        async def send() -> float:
            return await self.send(collect)

        await for_ever(send, streak, self._timing, expected=(Unavailable,))

    async def send(self, collect: Callable[[], Sequence[MetricPoints]]) -> float:
        """Send the present state; the answer is the pause in seconds until the next. Raises Unavailable."""
        observability = self._applied.config.observability
        if not self.is_on:
            return OFF_SECONDS
        period = Period(self._began, max(self._began, self._timing.clock.now()))
        try:
            await self._sender.send(observability.otel_endpoint, collect(), period)
        except Permanent as error:  # the same would be refused again; the configuration may change
            if self._problem is None or str(self._problem) != str(error):
                _log.warning("metrics-refused", cause=str(error), hint=error.hint)
            self._problem = error
        except Unavailable as error:
            self._problem = error
            raise
        else:
            self._problem = None
        return float(observability.metrics_push_interval)
