"""What is told when a job changes, by the configuration in force, and the wake-up of those who pass it on.

`tell` is asked while a change is being decided, and what it says is stored with the change; `passed_on` is called once that
is on disk.
"""

from collections.abc import Callable

from danube_pkg.core.configuration.state import State
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.notifications.rules import Told, tell, tell_skipped
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.triggers.matching import PipelineIndex, Skip
from danube_pkg.kit.clock import Clock


class News:
    """state: asked each time, since it is replaced when a configuration is applied."""

    def __init__(self, state: Callable[[], State], clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._indexed: tuple[State, PipelineIndex] | None = None
        self.on_inbox: Callable[[], None] = _nobody
        self.on_outbox: Callable[[], None] = _nobody

    @property
    def state(self) -> State:
        """The configuration in force."""
        return self._state()

    @property
    def index(self) -> PipelineIndex:
        """Its pipelines by what starts them; made once for each configuration."""
        state = self._state()
        if self._indexed is None or self._indexed[0] is not state:
            self._indexed = (state, PipelineIndex(state.pipelines.values()))
        return self._indexed[1]

    def tell(self, before: Job | None, after: Job) -> Told:
        return tell(before, after, self.state, self.index, self._clock.now())

    def tell_skipped(self, skip: Skip, pipeline: Pipeline) -> Told:
        return tell_skipped(skip, pipeline, self.state, self._clock.now())

    def passed_on(self, told: Told) -> None:
        """It is on disk: whoever delivers it looks."""
        if told.inbox:
            self.on_inbox()
        if told.outbox:
            self.on_outbox()


def _nobody() -> None:
    """Until somebody listens."""
