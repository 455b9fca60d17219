"""Observes changes of jobs: which notifications, commit statuses and jobs of other pipelines they cause.

`follow_up_of` is called while a change is being decided, and its result is stored with the change. `stored` is called
once the change is on disk, and wakes the loops over inbox and outbox.
"""

import asyncio

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.state import State
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.notifications.rules import FollowUp, follow_up_of, follow_up_of_skip
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.triggers.matching import PipelineIndex, Skip
from danube_pkg.kit.clock import Clock


class JobObserver:
    """Derives follow-ups from the applied configuration.

    inbox_added, outbox_added: set when an entry was stored; the loops over inbox and outbox wait for them.
    """

    def __init__(self, applied: AppliedConfiguration, clock: Clock) -> None:
        self.applied = applied
        self.inbox_added = asyncio.Event()
        self.outbox_added = asyncio.Event()
        self._clock = clock
        self._indexed: tuple[State, PipelineIndex] | None = None

    @property
    def index(self) -> PipelineIndex:
        """The applied pipelines by what starts them; made once for each configuration."""
        state = self.applied.state
        if self._indexed is None or self._indexed[0] is not state:
            self._indexed = (state, PipelineIndex(state.pipelines.values()))
        return self._indexed[1]

    def follow_up_of(self, before: Job | None, after: Job) -> FollowUp:
        """The follow-up of a job's change. before: None for a new job."""
        return follow_up_of(before, after, self.applied.state, self.index, self._clock.now())

    def follow_up_of_skip(self, skip: Skip, pipeline: Pipeline) -> FollowUp:
        """The follow-up of a pipeline that an event skips: its commit status."""
        return follow_up_of_skip(skip, pipeline, self.applied.state, self._clock.now())

    def stored(self, follow_up: FollowUp) -> None:
        """The follow-up is on disk: wake the loops that act on it."""
        if follow_up.inbox:
            self.inbox_added.set()
        if follow_up.outbox:
            self.outbox_added.set()
