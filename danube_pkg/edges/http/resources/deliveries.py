"""What arrived and may have started jobs, and what became of it: deliveries of forges, moments of clocks, ends of pipelines."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.triggers.inbox import (
    EntrySource,
    InboxEntry,
    InboxFilter,
    PipelineOutcome,
    Result,
    describe_event,
    repository_of,
)
from danube_pkg.edges.http.server.bodies import Time, iso, iso_or_none
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.kit.records import Record


class OutcomeView(Record):
    """What it did to one pipeline. `why`: one sentence, "" where a job started; `job`: that job."""

    pipeline: str
    result: Result
    why: str
    job: str | None


class DeliveryView(Record):
    """`delivery`: the source's own id of it. `repository`: as its forge names it, "" for what comes from no forge.
    `settled_at`: null while it is being worked on. `outcomes`: of the pipelines that the caller may see. `note`: what is to
    be said of it as a whole."""

    id: int
    source: EntrySource
    delivery: str
    event: str
    repository: str
    received_at: Time
    settled_at: Time | None
    outcomes: tuple[OutcomeView, ...]
    note: str


class DeliveryPage(Record):
    """`cursor`: what gives the next page; null on the last."""

    deliveries: tuple[DeliveryView, ...]
    cursor: int | None


class DeliveriesQuery(Record):
    """`repository`: owner/name, as its forge has it."""

    source: EntrySource | None = None
    repository: Annotated[str | None, rule(pattern=r".{1,1024}")] = None
    cursor: Annotated[int | None, rule(at_least=1)] = None
    limit: Annotated[int, rule(at_least=1, at_most=200)] = 50


class Deliveries(Resource):
    """`/api/v1/deliveries`."""

    async def GET(self, request: Request, query: DeliveriesQuery) -> DeliveryPage:
        """What arrived in the last thirty days, newest first: what concerns pipelines that the caller may see, and for
        administrators everything. What was refused, such as a wrong signature, is a condition of the configuration."""
        visible = await self.services.access.readable(request.actor)
        wanted = InboxFilter(visible, query.source, query.repository, query.cursor, query.limit)
        found = await self.services.inbox.list_entries(wanted)
        views = tuple(_view(entry, visible) for entry in found)
        return DeliveryPage(views, found[-1].id if len(found) == query.limit else None)


def _view(entry: InboxEntry, visible: frozenset[str] | None) -> DeliveryView:
    return DeliveryView(
        id=entry.id,
        source=entry.source,
        delivery=entry.key,
        event=describe_event(entry.event),
        repository=repository_of(entry.event),
        received_at=iso(entry.received_at),
        settled_at=iso_or_none(entry.settled_at),
        outcomes=tuple(_outcome(one) for one in entry.outcomes if visible is None or one.pipeline in visible),
        note=entry.note,
    )


def _outcome(one: PipelineOutcome) -> OutcomeView:
    return OutcomeView(one.pipeline, one.result, one.why, one.job_id or None)
