"""The inbox: what arrived and may have started jobs, and what became of it."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.triggers.inbox import EntrySource, InboxFilter
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.deliveries import DeliveryPage, delivery_view
from danube_pkg.kit.records import Record


class DeliveriesQuery(Record):
    """Every filter can be combined with every other."""

    source: Annotated[EntrySource | None, rule("Only entries from this source.")] = None
    repository: Annotated[
        str | None, rule("Only events of this repository: owner/name, as its forge has it.", pattern=r".{1,1024}")
    ] = None
    cursor: Annotated[int | None, rule("The `cursor` of the page before.", at_least=1)] = None
    limit: Annotated[int, rule("How many entries a page has.", at_least=1, at_most=200)] = 50


class Deliveries(Resource):
    """`/api/v1/deliveries`."""

    async def GET(self, request: Request, query: DeliveriesQuery) -> DeliveryPage:
        """Webhook deliveries, cron moments and ends of pipelines of the last thirty days, newest first.

        A caller sees what concerns pipelines that it may see; administrators see everything. Rejected deliveries (a
        wrong signature, for example) are conditions of the configuration.
        """
        visible = await self.services.identity.access.readable(request.actor)
        wanted = InboxFilter(visible, query.source, query.repository, query.cursor, query.limit)
        found = await self.services.triggers.inbox.list_entries(wanted)
        views = tuple(delivery_view(entry, visible) for entry in found)
        return DeliveryPage(views, found[-1].id if len(found) == query.limit else None)
