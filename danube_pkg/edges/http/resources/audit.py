"""The audit log, and a check of its chain of hashes."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.audit import AuditCheckView, AuditPage, audit_view
from danube_pkg.kit.records import Record


class AuditQuery(Record):
    """Every filter can be combined with every other."""

    actor: Annotated[str, rule("Only what this caller did.", pattern=r".{0,256}")] = ""
    action: Annotated[str, rule("Only this action.", pattern=r"[a-z-]{0,64}")] = ""
    cursor: Annotated[int | None, rule("The `cursor` of the page before.", at_least=1)] = None
    limit: Annotated[int, rule("How many entries a page has.", at_least=1, at_most=200)] = 50


class AuditResource(Resource):
    """`/api/v1/audit`."""

    async def GET(self, request: Request, query: AuditQuery) -> AuditPage:
        """Entries, newest first."""
        entries = await self.services.identity.audit.list(
            actor=query.actor, action=query.action, before=query.cursor, limit=query.limit
        )
        return AuditPage(tuple(map(audit_view, entries)), entries[-1].sequence if len(entries) == query.limit else None)


class AuditCheck(Resource):
    """`/api/v1/audit/check`."""

    async def GET(self, request: Request) -> AuditCheckView:
        """Whether the audit log is complete and unchanged."""
        state = await self.services.identity.audit.check()
        return AuditCheckView(state.whole, state.entries, state.broken_at or None)
