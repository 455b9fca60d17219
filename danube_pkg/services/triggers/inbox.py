"""From the inbox to jobs: one loop, each entry settled once, with its jobs in the same transaction.

Entries of one lane (a repository, a pipeline) are settled in the order of their arrival; lanes do not wait for each other.
What cannot be settled now is tried again; killed at any moment, a server finds the entry open, and its jobs not made.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.errors import Permanent, PlatformError, Retryable
from danube_pkg.core.jobs.concurrency import is_unapproved, pull_request_number
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp, merged_follow_ups
from danube_pkg.core.pipelines import Pipeline, PipelineStore
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.triggers.inbox import (
    KEEP_SECONDS,
    CronMoment,
    EntrySource,
    InboxEntry,
    InboxEvent,
    PipelineEnded,
    PipelineOutcome,
    Result,
    lane_of,
)
from danube_pkg.core.triggers.matching import (
    NotMeant,
    Skip,
    Start,
    Verdict,
    judge,
    judge_end,
    wants_changed_files,
)
from danube_pkg.core.triggers.ports import ChangedFiles, InboxStore, Settlement
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery
from danube_pkg.core.triggers.webhooks.events import (
    Ignored,
    Ping,
    PullRequest,
    PullRequestChange,
    Push,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record, replace
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.notifications.observer import JobObserver

OPEN_ENTRIES = 1000
"""Taken into memory at once; the rest of a burst waits on disk, where it is safe."""

GIVE_UP_SECONDS = 86400.0
"""A day: what could not be settled for so long (a repository that is away) is given up, and said so."""

RETRY_CAP_SECONDS = 60.0

MAX_FAILURES = 5
"""Tries of an entry that a bug of ours fails on: it must not keep its lane for ever."""

TIDY_SECONDS = 3600.0

NOBODY = "no pipeline is of it; a push to the configuration's own repository lets the server look there"

_log = logging.getLogger("danube.triggers")


class InboxPorts(Record):
    """What the loop reaches the world through. changes: who knows which files a pull request changes."""

    inbox: InboxStore
    pipelines: PipelineStore
    sources: Sources
    changes: ChangedFiles
    clock: Clock


class Inbox:
    """The inbox's two ends: `receive` and the loop. `pushed` is told of each push: it may be the configuration's own."""

    def __init__(
        self,
        ports: InboxPorts,
        engine: Engine,
        observer: JobObserver,
        pushed: Callable[[str, str], bool] = lambda url, branch: False,
    ) -> None:
        self._ports = ports
        self._engine = engine
        self._observer = observer
        self._pushed = pushed
        self._wake = observer.inbox_added
        self._room = asyncio.Condition()
        self._lanes: dict[str, deque[InboxEntry]] = {}
        self._taken = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Owns every task of the loop; what is open stays open for the next server."""
        owner = TaskOwner(logged(_log))
        try:
            owner.start("inbox", self._run(owner))
            owner.start("inbox-tidy", self._tidy())
            yield
        finally:
            await owner.close()

    # --- what comes in

    def is_known(self, repository: WebhookRepository) -> bool:
        """Whether any pipeline is of that repository."""
        return bool(self._observer.index.of_repository(repository))

    async def receive(self, delivery: WebhookDelivery) -> bool:
        """Take a delivery; False where it was taken before. On disk when this returns."""
        event = delivery.event
        if isinstance(event, Push):
            for url in event.repository.urls:
                self._pushed(url, event.branch)
        if isinstance(event, Ping | Ignored):
            return True
        entry = InboxEntry(EntrySource(delivery.forge), delivery.id, event, self._ports.clock.now())
        new = await self._ports.inbox.receive(entry)
        self._wake.set()
        return new

    async def receive_moment(self, event: CronMoment, schedule: str) -> bool:
        """The same for a clock that has struck: a pipeline has no two entries of one moment."""
        entry = InboxEntry(EntrySource.CRON, f"{event.pipeline} {event.moment:.0f}", event, self._ports.clock.now())
        new = await self._ports.inbox.receive_moment(entry, schedule, event.pipeline, event.moment)
        self._wake.set()
        return new

    # --- the loop

    async def _run(self, owner: TaskOwner) -> None:
        last, backoff = 0, Backoff(0.2, RETRY_CAP_SECONDS, random.random)
        while True:
            self._wake.clear()
            try:
                entries = await self._ports.inbox.open_entries(last, OPEN_ENTRIES)
            except Exception as error:  # noqa: BLE001 - without the loop nothing would start any more
                _log.exception("inbox-unreadable", extra={"fields": {"cause": str(error)}})
                await self._ports.clock.sleep(backoff.next())
                continue
            backoff.reset()
            for entry in entries:
                last = entry.id
                await self._take(entry, owner)
            if len(entries) < OPEN_ENTRIES:
                await self._wake.wait()

    async def _take(self, entry: InboxEntry, owner: TaskOwner) -> None:
        """Into its lane, once there is room in memory."""
        async with self._room:
            await self._room.wait_for(lambda: self._taken < OPEN_ENTRIES)
        self._taken += 1
        name = lane_of(entry.event)
        if name in self._lanes:
            self._lanes[name].append(entry)
            return
        self._lanes[name] = deque([entry])
        owner.start(f"inbox {name}"[:100], self._run_lane(name))

    async def _run_lane(self, name: str) -> None:
        lane = self._lanes[name]
        while lane:
            await self._settle(lane.popleft())
            async with self._room:
                self._taken -= 1
                self._room.notify_all()
        del self._lanes[name]

    async def _settle(self, entry: InboxEntry) -> None:
        """Until it is settled or given up; that too is tried again, since a lane must not end with an entry that is open."""
        backoff, failures, problem = Backoff(0.2, RETRY_CAP_SECONDS, random.random), 0, ""
        while True:
            is_old = self._ports.clock.now() - entry.received_at > GIVE_UP_SECONDS
            giving_up = failures >= MAX_FAILURES or (is_old and bool(problem))
            try:
                if giving_up:
                    await self._give_up(entry, problem)
                else:
                    await self._settle_once(entry)
                return
            except Retryable as error:
                problem = problem if giving_up else str(error)
                _log.warning("trigger-retried", extra={"fields": {"origin": entry.origin, "cause": str(error)}})
            except Exception as error:  # noqa: BLE001 - one entry must not stop its lane; it is logged, and given up in the end
                failures, problem = failures + 1, str(error) or type(error).__name__
                _log.exception("trigger-failed", extra={"fields": {"origin": entry.origin}})
            await self._ports.clock.sleep(backoff.next())

    async def _give_up(self, entry: InboxEntry, problem: str) -> None:
        why = f"given up: {problem}"
        outcomes = [PipelineOutcome(name, Result.REFUSED, why) for name in self._concerned(entry.event)]
        await self._engine.submit_all([], NO_FOLLOW_UP, Settlement(entry, self._ports.clock.now(), outcomes, why))
        _log.error("trigger-given-up", extra={"fields": {"origin": entry.origin, "cause": problem}})

    async def _settle_once(self, entry: InboxEntry) -> None:
        starts: list[tuple[Pipeline, Trigger]] = []
        told: list[FollowUp] = []
        outcomes: list[PipelineOutcome] = []
        for verdict in await self._verdicts(entry.event):
            if isinstance(verdict, NotMeant):
                outcomes.append(PipelineOutcome(verdict.pipeline, Result.NOT_MEANT, verdict.why))
                continue
            pipeline = await self._ports.pipelines.load_pipeline(verdict.pipeline)
            if pipeline is None or pipeline.removed:
                continue
            if isinstance(verdict, Skip):
                told.append(self._observer.follow_up_of_skip(verdict, pipeline))
                outcomes.append(PipelineOutcome(pipeline.name, Result.SKIPPED, verdict.why))
                continue
            try:
                trigger = await self._resolved(verdict.trigger, pipeline)
            except Permanent as error:
                _log.error("trigger-refused", extra={"fields": {"origin": entry.origin, "cause": str(error)}})
                outcomes.append(PipelineOutcome(pipeline.name, Result.REFUSED, str(error)))
                continue
            starts.append((pipeline, replace(trigger, origin=entry.origin)))
            outcomes.append(PipelineOutcome(pipeline.name, Result.STARTED))
        if isinstance(entry.event, PullRequest) and entry.event.change is PullRequestChange.CLOSED:
            await self._end_proposals(entry.event)  # before it is settled, or a death between the two would leave them
        note = "" if outcomes else NOBODY
        await self._engine.submit_all(
            starts, merged_follow_ups(*told), Settlement(entry, self._ports.clock.now(), outcomes, note)
        )

    def _concerned(self, event: InboxEvent) -> Sequence[str]:
        """Names of the pipelines that an event may start or not."""
        match event:
            case CronMoment():
                return [event.pipeline]
            case PipelineEnded():
                return [one.name for one in self._observer.index.after(event)]
            case Ping() | Ignored():
                return []
        return [one.name for one in self._observer.index.of_repository(event.repository)]

    async def _verdicts(self, event: InboxEvent) -> Sequence[Verdict]:
        index = self._observer.index
        match event:
            case CronMoment():
                trigger = Trigger(type="cron", actor=f"schedule {event.schedule}")
                return [Start(event.pipeline, trigger)]
            case PipelineEnded():
                return [judge_end(event, one) for one in index.after(event)]
            case Ping() | Ignored():
                return []
        definitions = index.of_repository(event.repository)
        changed = await self._changed_files(event, definitions)
        return [judge(event, one, changed) for one in definitions]

    async def _changed_files(
        self, event: WebhookEvent, definitions: Sequence[PipelineDefinition]
    ) -> Sequence[str] | None:
        """Of a pull request, where that decides something; None where it cannot be found out: then all filters are met."""
        if not isinstance(event, PullRequest) or not wants_changed_files(event, definitions):
            return None
        repository = definitions[0].spec.repository
        try:
            return await self._ports.changes.changed_files(repository, event.target_branch, event.commit_sha)
        except PlatformError as error:
            fields = {"repository": event.repository.name, "pull_request": event.number, "cause": str(error)}
            _log.warning("changed-files-unknown", extra={"fields": fields})
            return None

    async def _resolved(self, trigger: Trigger, pipeline: Pipeline) -> Trigger:
        """With a commit: what names none means the newest of the default branch. Raises Permanent, Unavailable."""
        if trigger.revision.commit_sha:
            return trigger
        found = await self._ports.sources.resolve(pipeline.settings.repository, trigger.revision.ref)
        return replace(trigger, revision=found)

    async def _end_proposals(self, event: PullRequest) -> None:
        """Of a pull request that was closed nothing waits for an approval any more."""
        names = {one.name for one in self._observer.index.of_repository(event.repository)}
        for job in self._engine.open_jobs:
            if job.pipeline in names and is_unapproved(job) and pull_request_number(job.trigger) == event.number:
                await self._engine.cancel(job.id, f"the end of pull request {event.number}", Reason.SUPERSEDED)

    async def _tidy(self) -> None:
        while True:
            try:
                await self._ports.inbox.forget_settled(self._ports.clock.now() - KEEP_SECONDS)
            except PlatformError as error:
                _log.warning("inbox-not-tidied", extra={"fields": {"cause": str(error)}})
            await self._ports.clock.sleep(TIDY_SECONDS)
