"""Which pipelines an event concerns, and what it does to each: the rules of `core.triggers.matching`, with what these
need to know of a commit."""

from collections.abc import Sequence

from danube_pkg.core.configuration.pipelines import CatchUp
from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.triggers.catch_up import catch_up_of, match_head
from danube_pkg.core.triggers.heads import HeadFound
from danube_pkg.core.triggers.inbox import InboxEvent, PipelineEnded, ScheduleDue
from danube_pkg.core.triggers.matching import (
    Match,
    Start,
    includes_event,
    match_event,
    match_pipeline_end,
    needs_changed_files,
)
from danube_pkg.core.triggers.webhooks.events import Ignored, Ping, UnreadableEvent, WebhookEvent
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.triggers.commit_facts import CommitFacts


class EventMatches:
    """Matches events with the applied pipelines. observer: has their index."""

    def __init__(self, observer: JobObserver, facts: CommitFacts) -> None:
        self._observer = observer
        self._facts = facts

    def pipelines_of(self, event: InboxEvent) -> Sequence[str]:
        """Names of the pipelines that an event may start."""
        match event:
            case ScheduleDue():
                return [event.pipeline]
            case PipelineEnded():
                return [one.name for one in self._observer.index.after(event)]
            case Ping() | Ignored() | UnreadableEvent():
                return []
        return [one.name for one in self._observer.index.of_repository(event.repository)]

    async def of(self, event: InboxEvent) -> Sequence[Match]:
        """What the event does to each pipeline that it concerns. Raises Permanent, Unavailable."""
        index = self._observer.index
        match event:
            case ScheduleDue():
                trigger = Trigger(type="cron", actor=f"schedule {event.schedule}")
                return [Start(event.pipeline, trigger)]
            case PipelineEnded():
                return [match_pipeline_end(event, one) for one in index.after(event)]
            case Ping() | Ignored() | UnreadableEvent():
                return []
            case HeadFound():
                return await self._of_head(event)
        return await self._of_webhook(event, index.of_repository(event.repository))

    async def _of_head(self, found: HeadFound) -> Sequence[Match]:
        config = self._observer.applied.config
        wanted = [
            one
            for one in self._observer.index.of_repository(found.repository)
            if catch_up_of(one.spec, config) is not CatchUp.OFF
        ]
        if found.listed or all(catch_up_of(one.spec, config) is CatchUp.LIST for one in wanted):
            return [match_head(found, one, config) for one in wanted]
        usual = await self._of_webhook(found.movement, wanted)
        return [match_head(found, one, config, decided) for one, decided in zip(wanted, usual, strict=True)]

    async def _of_webhook(self, event: WebhookEvent, definitions: Sequence[PipelineDefinition]) -> Sequence[Match]:
        """What an event does to each of these pipelines of its repository, in their order."""
        included = [one for one in definitions if includes_event(event, one)]
        changed: Sequence[str] | None = None
        if included:
            repository = included[0].spec.repository
            event = await self._facts.described(event, repository)
            if needs_changed_files(event, included):
                changed = await self._facts.changed_files(event, repository)
        return [match_event(event, one, changed) for one in definitions]
