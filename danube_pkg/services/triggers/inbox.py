"""From the inbox to jobs: one loop, each entry settled once, with its jobs in the same transaction.

Entries of one lane (a repository, a pipeline) are settled in the order of their arrival; lanes do not wait for each
other. An entry that cannot be settled now is retried. A server that is killed at any moment leaves it open and without
jobs, and the next server settles it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from danube_pkg.core.errors import Conflict, Permanent, PlatformError, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.jobs.concurrency import is_unapproved, pull_request_number
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp, merged_follow_ups
from danube_pkg.core.pipelines import Pipeline, PipelineStore
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.ports import Members, Sources
from danube_pkg.core.repositories.urls import canonical
from danube_pkg.core.triggers.heads import HeadFound
from danube_pkg.core.triggers.inbox import (
    KEEP_SECONDS,
    KEEP_UNMATCHED_SECONDS,
    EntrySource,
    InboxEntry,
    PipelineOutcome,
    Result,
    ScheduleDue,
    lane_of,
    note_of,
    reported_before,
)
from danube_pkg.core.triggers.matching import (
    Listed,
    NotMatched,
    Skip,
    with_membership,
    with_trust,
)
from danube_pkg.core.triggers.ports import CommitReader, InboxStore, Settlement
from danube_pkg.core.triggers.requests import started_before
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import Record, replace
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.triggers.commit_facts import CommitFacts
from danube_pkg.services.triggers.event_matches import EventMatches
from danube_pkg.services.triggers.renames import Renames
from danube_pkg.services.triggers.trust import ProposalTrust

OPEN_ENTRIES = 1000
"""Most entries in memory; the rest of a burst waits on disk."""

GIVE_UP_SECONDS = 86400.0
"""A day: an entry that could not be settled for so long (its repository is unreachable) is given up."""

RETRIES = Pauses(first=0.2, cap=60.0)

MAX_FAILURES = 5
"""Tries of an entry on which a bug of Danube fails: it must not block its lane for ever."""

EARLIER_ENTRIES = 100
"""Entries of a ref that are searched for the same event: a ref that moves more often in a day is not a team's."""

TIDY_SECONDS = 3600.0
TIDY_RETRIES = Pauses(first=60.0, cap=TIDY_SECONDS)

_log = EventLog("danube.triggers")


class InboxPorts(Record):
    """The ports of the inbox."""

    inbox: InboxStore
    pipelines: PipelineStore
    sources: Sources
    commits: CommitReader
    members: Members
    timing: Timing


class Inbox:
    """Receives what may start jobs, and settles it in a loop.

    secrets: mask what is stored of a commit. pushed: called with the URL and branch of each push, which may be one to
    the configuration repository.
    """

    def __init__(
        self,
        ports: InboxPorts,
        engine: Engine,
        observer: JobObserver,
        secrets: Secrets,
        pushed: Callable[[str, str], bool] = lambda url, branch: False,
    ) -> None:
        self._ports = ports
        self._engine = engine
        self._observer = observer
        self._renames = Renames(ports.inbox, observer)
        self._matches = EventMatches(observer, CommitFacts(ports.commits, secrets))
        self._trust = ProposalTrust(ports.sources, ports.inbox)
        self._pushed = pushed
        self._clock = ports.timing.clock
        self._wake = observer.inbox_added
        self._lanes: dict[str, deque[InboxEntry]] = {}
        self._in_memory = 0
        self._has_space = asyncio.Condition()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Settles entries while the block is open; entries that are still open then are left to the next server."""
        owner, timing = TaskOwner(logged(_log.logger)), self._ports.timing
        tidy = Streak("inbox-tidy", timing, TIDY_RETRIES, log=_log.logger)
        try:
            owner.start("inbox", self._run(owner))
            owner.start("inbox-tidy", for_ever(self._forget_old, tidy, timing, expected=(PlatformError,)))
            yield
        finally:
            await owner.close()

    async def conditions(self) -> Sequence[Condition]:
        """Repositories that were renamed at their forge."""
        return await self._renames.conditions()

    # --- receiving

    def is_known(self, repository: WebhookRepository) -> bool:
        """Whether any pipeline uses that repository."""
        return bool(self._observer.index.of_repository(repository))

    async def receive(self, delivery: WebhookDelivery) -> bool:
        """Store a delivery; False where it was received before. On disk when this returns."""
        event = delivery.event
        if isinstance(event, Push):
            for url in event.repository.urls:
                self._pushed(url, event.branch)
        entry = InboxEntry(EntrySource(delivery.forge), delivery.id, event, self._clock.now())
        new = await self._ports.inbox.receive(entry, self._names_in_pipelines(event))
        self._wake.set()
        return new

    def _names_in_pipelines(self, event: WebhookEvent) -> Collection[str]:
        """The names under which the heads of an event's repository are stored: by the URLs that pipelines use."""
        if isinstance(event, Push | TagPush | BranchDeleted | TagDeleted):
            found = self._observer.index.of_repository(event.repository)
            return {canonical(one.spec.repository).lower() for one in found}
        return ()

    async def receive_due(self, event: ScheduleDue, schedule: str) -> bool:
        """The same for a moment of a schedule; one that two schedules of a pipeline share is received once."""
        entry = InboxEntry(EntrySource.CRON, f"{event.pipeline} {event.scheduled_at:.0f}", event, self._clock.now())
        new = await self._ports.inbox.receive_due(entry, schedule, event.pipeline, event.scheduled_at)
        self._wake.set()
        return new

    # --- settling

    async def _run(self, owner: TaskOwner) -> None:
        last = 0

        async def read_page() -> float | None:
            """Put the next open entries into their lanes; a full page may have a successor."""
            nonlocal last
            entries = await self._ports.inbox.open_entries(last, OPEN_ENTRIES)
            for entry in entries:
                last = entry.id
                await self._put_into_lane(entry, owner)
            return 0.0 if len(entries) == OPEN_ENTRIES else None

        streak = Streak("inbox-read", self._ports.timing, RETRIES, log=_log.logger)
        await for_ever(read_page, streak, self._ports.timing, expected=(Permanent, Retryable), wake=self._wake)

    async def _put_into_lane(self, entry: InboxEntry, owner: TaskOwner) -> None:
        """Waits until memory has space for it."""
        async with self._has_space:
            await self._has_space.wait_for(lambda: self._in_memory < OPEN_ENTRIES)
        self._in_memory += 1
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
            async with self._has_space:
                self._in_memory -= 1
                self._has_space.notify_all()
        del self._lanes[name]

    async def _settle(self, entry: InboxEntry) -> None:
        """Retries until the entry is settled or given up.

        Giving up is retried as well: a lane must not continue while the entry is open.
        """
        streak = Streak("trigger", self._ports.timing, RETRIES, log=_log.logger, fields={"origin": entry.origin})
        bugs, problem = 0, ""
        while True:
            is_old = self._clock.now() - entry.received_at > GIVE_UP_SECONDS
            giving_up = bugs >= MAX_FAILURES or (is_old and bool(problem))
            try:
                if giving_up:
                    await self._give_up(entry, problem)
                else:
                    await self._settle_once(entry)
            except Retryable as error:
                problem = problem if giving_up else str(error)
                pause = streak.failed(error)
            except Exception as error:  # noqa: BLE001 - one entry must not stop its lane; it is given up in the end
                bugs, problem = bugs + 1, str(error) or type(error).__name__
                pause = streak.failed(error, is_bug=True)
            else:
                if not giving_up:
                    streak.succeeded()
                return
            await self._clock.sleep(pause)

    async def _give_up(self, entry: InboxEntry, problem: str) -> None:
        why = f"given up: {problem}"
        outcomes = [PipelineOutcome(name, Result.REFUSED, why) for name in self._matches.pipelines_of(entry.event)]
        await self._engine.submit_all([], NO_FOLLOW_UP, Settlement(entry, self._clock.now(), outcomes, why))
        _log.error("trigger-given-up", origin=entry.origin, cause=problem)

    async def _settle_once(self, entry: InboxEntry) -> None:
        if isinstance(entry.event, ScheduleDue) and entry.event.skipped:
            skipped = PipelineOutcome(entry.event.pipeline, Result.SKIPPED, entry.event.skipped)
            await self._engine.submit_all([], NO_FOLLOW_UP, Settlement(entry, self._clock.now(), [skipped]))
            return
        starts: list[tuple[Pipeline, Trigger]] = []
        await self._renames.note(entry)
        follow_ups: list[FollowUp] = []
        outcomes: list[PipelineOutcome] = []
        known = await self._known_outcomes(entry)
        for match in await self._matches.of(entry.event):
            if isinstance(match, NotMatched | Listed):
                result = Result.LISTED if isinstance(match, Listed) else Result.NOT_MATCHED
                outcomes.append(PipelineOutcome(match.pipeline, result, match.why))
                continue
            pipeline = await self._ports.pipelines.load_pipeline(match.pipeline)
            if pipeline is None or pipeline.removed:
                continue
            if match.pipeline in known:
                outcomes.append(known[match.pipeline])
                continue
            if isinstance(match, Skip):
                follow_ups.append(self._observer.follow_up_of_skip(match, pipeline))
                outcomes.append(PipelineOutcome(pipeline.name, Result.SKIPPED, match.why))
                continue
            try:
                trigger = await self._resolved(match.trigger, pipeline)
            except Permanent as error:
                _log.error("trigger-refused", origin=entry.origin, cause=str(error))
                outcomes.append(PipelineOutcome(pipeline.name, Result.REFUSED, str(error)))
                continue
            if isinstance(entry.event, PullRequest):
                trigger = await self._with_trust(trigger, entry.event, pipeline)
            starts.append((pipeline, replace(trigger, origin=entry.origin, received_at=entry.received_at)))
            outcomes.append(PipelineOutcome(pipeline.name, Result.STARTED))
        if isinstance(entry.event, PullRequest) and entry.event.change is PullRequestChange.CLOSED:
            # Before it is settled: a server that is killed between the two would leave them waiting.
            await self._cancel_unapproved(entry.event)
        note = "" if outcomes else note_of(entry.event)
        settlement = Settlement(entry, self._clock.now(), outcomes, note)
        await self._engine.submit_all(starts, merged_follow_ups(*follow_ups), settlement)

    async def _with_trust(self, trigger: Trigger, event: PullRequest, pipeline: Pipeline) -> Trigger:
        """With whether a request's code is trusted, and if not, whether it needs an approval."""
        repository = pipeline.settings.repository
        trigger = with_trust(trigger, await self._trust.why_untrusted(event, repository))
        if not (trigger.is_untrusted and pipeline.settings.trusts_members):
            return trigger
        why_not = await self._ports.members.why_not_member(repository, event.pusher, event.pusher_id)
        return with_membership(trigger, event.pusher, why_not)

    async def _known_outcomes(self, entry: InboxEntry) -> Mapping[str, PipelineOutcome]:
        """By pipeline, the jobs that an earlier entry of the same event started, if the ref has not moved since."""
        earlier = await self._ports.inbox.earlier_entries(entry, EARLIER_ENTRIES)
        before = reported_before(entry, earlier)
        if before is None and isinstance(entry.event, PullRequest):
            return {
                name: PipelineOutcome(name, Result.KNOWN, f"delivery {key} started this commit", one.job_id)
                for name, (key, one) in started_before(entry.event, earlier).items()
            }
        if before is None:
            return {}
        found = isinstance(before.event, HeadFound)
        why = "a comparison found it before" if found else f"the same event arrived as delivery {before.key}"
        return {
            one.pipeline: PipelineOutcome(one.pipeline, Result.KNOWN, why, one.job_id)
            for one in before.outcomes
            if one.result in (Result.STARTED, Result.KNOWN)
        }

    async def _resolved(self, trigger: Trigger, pipeline: Pipeline) -> Trigger:
        """With a commit: the default branch's newest where the trigger names none. Raises Permanent, Unavailable."""
        if trigger.revision.commit_sha:
            return trigger
        found = await self._ports.sources.resolve(pipeline.settings.repository, trigger.revision.ref)
        return replace(trigger, revision=found)

    async def _cancel_unapproved(self, event: PullRequest) -> None:
        """Cancels the jobs of a closed pull request that wait for an approval."""
        names = {one.name for one in self._observer.index.of_repository(event.repository)}
        for job in self._engine.open_jobs:
            if job.pipeline in names and is_unapproved(job) and pull_request_number(job.trigger) == event.number:
                with contextlib.suppress(Conflict):  # it ended by itself at this moment
                    await self._engine.cancel(job.id, f"the end of pull request {event.number}", Reason.SUPERSEDED)

    async def _forget_old(self) -> float:
        now = self._clock.now()
        await self._ports.inbox.forget_settled(now - KEEP_SECONDS, now - KEEP_UNMATCHED_SECONDS)
        return TIDY_SECONDS
