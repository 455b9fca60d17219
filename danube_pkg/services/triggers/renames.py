"""Remembers the forge's id of each repository with pipelines, and reports those that have another name since."""

from collections.abc import Sequence

from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.triggers.inbox import InboxEntry, repository_of
from danube_pkg.core.triggers.ports import InboxStore
from danube_pkg.core.triggers.renames import KnownRepository, host_of, rename_conditions, url_like
from danube_pkg.core.triggers.webhooks.events import BranchDeleted, PullRequest, Push, TagDeleted, TagPush
from danube_pkg.services.notifications.observer import JobObserver


class Renames:
    """Reads each entry of the inbox when it is settled."""

    def __init__(self, store: InboxStore, observer: JobObserver) -> None:
        self._store = store
        self._observer = observer

    async def conditions(self) -> Sequence[Condition]:
        """The repositories that pipelines still have by an old URL."""
        return rename_conditions(await self._store.known_repositories(), self._observer.applied.state.pipelines)

    async def note(self, entry: InboxEntry) -> None:
        """Record the repository of an entry, if it has pipelines or had some under another name."""
        event = entry.event
        if not isinstance(event, Push | TagPush | BranchDeleted | TagDeleted | PullRequest) or not event.repository.id:
            return
        repository = event.repository
        known = {(one.source, one.host, one.id): one for one in await self._store.known_repositories()}
        before = known.get((entry.source, host_of(repository), repository.id))
        definitions = self._observer.index.of_repository(repository)
        if not definitions and before is None:
            return
        configured = definitions[0].spec.repository if definitions else before.configured if before is not None else ""
        now = KnownRepository(
            str(entry.source),
            host_of(repository),
            repository.id,
            configured,
            repository_of(event),
            url_like(configured, repository),
        )
        if now != before:
            await self._store.note_repository(now)
