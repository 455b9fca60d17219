"""The audit: who did what, and whether all of it is still there."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.audit import AuditEntry
from danube_pkg.edges.http.server.bodies import Time, iso
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.kit.records import Record


class AuditView(Record):
    """`outcome`: done, or the reference of the refusal."""

    sequence: int
    at: Time
    actor: str
    action: str
    target: str
    outcome: str
    address: str
    request_id: str
    details: Mapping[str, str]


class AuditPage(Record):
    """`cursor`: what gives the next page; null on the last."""

    entries: tuple[AuditView, ...]
    cursor: int | None


class AuditQuery(Record):
    """`actor` and `action` are whole words."""

    actor: Annotated[str, rule(pattern=r".{0,256}")] = ""
    action: Annotated[str, rule(pattern=r"[a-z-]{0,64}")] = ""
    cursor: Annotated[int | None, rule(at_least=1)] = None
    limit: Annotated[int, rule(at_least=1, at_most=200)] = 50


class AuditResource(Resource):
    """`/api/v1/audit`."""

    async def GET(self, request: Request, query: AuditQuery) -> AuditPage:
        """Entries, newest first."""
        entries = await self.services.audit.list(
            actor=query.actor, action=query.action, before=query.cursor, limit=query.limit
        )
        return AuditPage(tuple(map(_view, entries)), entries[-1].sequence if len(entries) == query.limit else None)


class AuditCheckView(Record):
    """`broken_at`: the first number that does not fit its place, null where all do."""

    whole: bool
    entries: int
    broken_at: int | None


class AuditCheck(Resource):
    """`/api/v1/audit/check`."""

    async def GET(self, request: Request) -> AuditCheckView:
        """Whether every entry ever written is there as it was written."""
        state = await self.services.audit.check()
        return AuditCheckView(state.whole, state.entries, state.broken_at or None)


def _view(entry: AuditEntry) -> AuditView:
    one = entry.event
    return AuditView(
        sequence=entry.sequence,
        at=iso(one.at),
        actor=one.actor,
        action=one.action,
        target=one.target,
        outcome=one.outcome,
        address=one.address,
        request_id=one.request_id,
        details=one.details,
    )
