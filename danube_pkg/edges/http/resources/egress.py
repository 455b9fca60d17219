"""The egress ledger of a job, and the allowlist that it amounts to."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.egress.policy import Verdict
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.egress import EgressView, contact_view, destination_view
from danube_pkg.kit.records import Record

PAGE = 200
MAX_PAGE = 1000


class EgressQuery(Record):
    """Selects contacts; destinations are always all."""

    verdict: Annotated[Verdict | None, rule("Only contacts with this verdict.")] = None
    cursor: Annotated[int, rule("How many contacts to skip: the `cursor` of the page before.", at_least=0)] = 0
    limit: Annotated[int, rule("How many contacts a page has.", at_least=1, at_most=MAX_PAGE)] = PAGE


class JobEgress(Resource):
    """`/api/v1/jobs/{job}/egress`."""

    async def GET(self, request: Request, query: EgressQuery) -> EgressView:
        """The egress ledger of a job: by destination, and contact by contact, oldest first."""
        report = await self.services.jobs.egress.report(request.job)
        wanted = [one for one in report.contacts if query.verdict in (None, one.verdict)]
        end = query.cursor + query.limit
        return EgressView(
            network=request.job.settings.network,
            allowlist=request.job.settings.egress_allowlist,
            needed_allowlist=tuple(report.needed),
            destinations=tuple(map(destination_view, report.destinations)),
            contacts=tuple(map(contact_view, wanted[query.cursor : end])),
            cursor=end if end < len(wanted) else None,
        )
