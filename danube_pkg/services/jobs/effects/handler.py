"""What a handler of effects is."""

from typing import Protocol

from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.events import JobEvent
from danube_pkg.services.jobs.active_job import ActiveJob


class EffectHandler(Protocol):
    """Performs the effects of one kind, for all jobs. It has no state of its own.

    `perform` is idempotent, since a server that was killed performs an owed effect again, and it may be cancelled, when
    the effect becomes stale. It returns the event that follows. Raises Retryable: it is called again after a pause. A
    failure that no retry can repair must become an event; any other exception is logged as a bug, and retried.
    """

    @property
    def kind(self) -> EffectKind: ...

    async def perform(self, active: ActiveJob) -> JobEvent: ...
