"""What a job reached and what it was refused: the egress ledger, and the allowlist that it amounts to."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.egress.ledger import Contact, Destination, Way
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.edges.http.server.bodies import Time, iso, iso_or_none
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.kit.records import Record

PAGE = 200
MAX_PAGE = 1000


class ContactView(Record):
    """One attempt to get out. `step`: null where it is not known, 0 for the danubefile itself. `allow`: the entries that an
    allowlist would need for it. `ended_at`: null while it is open, or where its proxy was killed."""

    time: Time
    step: int | None
    way: Way
    host: str
    port: int
    address: str
    server_name: str
    verdict: Verdict
    reason: EgressReason
    message: str
    allow: tuple[str, ...]
    attempts: int
    sent_bytes: int
    received_bytes: int
    ended_at: Time | None


class DestinationView(Record):
    """All contacts of one step with one place that ended alike."""

    step: int | None
    way: Way
    host: str
    port: int
    addresses: tuple[str, ...]
    verdict: Verdict
    reason: EgressReason
    message: str
    allow: tuple[str, ...]
    contacts: int
    sent_bytes: int
    received_bytes: int
    first_at: Time
    last_at: Time


class EgressView(Record):
    """`allowlist`: what was in force. `needed_allowlist`: what would have been enough. `cursor`: what gives the next page of
    `contacts`; null on the last."""

    network: Network
    allowlist: tuple[str, ...]
    needed_allowlist: tuple[str, ...]
    destinations: tuple[DestinationView, ...]
    contacts: tuple[ContactView, ...]
    cursor: int | None


class EgressQuery(Record):
    """Which contacts; destinations are always all. `cursor`: how many contacts were seen already."""

    verdict: Verdict | None = None
    cursor: Annotated[int, rule(at_least=0)] = 0
    limit: Annotated[int, rule(at_least=1, at_most=MAX_PAGE)] = PAGE


class JobEgress(Resource):
    """`/api/v1/jobs/{job}/egress`."""

    async def GET(self, request: Request, query: EgressQuery) -> EgressView:
        """The egress ledger of a job: by destination, and contact by contact, oldest first."""
        report = await self.services.egress.report(request.job)
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


def contact_view(contact: Contact) -> ContactView:
    """One attempt."""
    return ContactView(
        time=iso(contact.time),
        step=contact.step,
        way=contact.way,
        host=contact.host,
        port=contact.port,
        address=contact.address,
        server_name=contact.server_name,
        verdict=contact.verdict,
        reason=contact.reason,
        message=contact.describe(),
        allow=contact.allow,
        attempts=contact.attempts,
        sent_bytes=contact.sent_bytes,
        received_bytes=contact.received_bytes,
        ended_at=iso_or_none(contact.ended_at),
    )


def destination_view(found: Destination) -> DestinationView:
    """One place."""
    latest = found.latest
    return DestinationView(
        step=latest.step,
        way=latest.way,
        host=latest.host,
        port=latest.port,
        addresses=found.addresses,
        verdict=latest.verdict,
        reason=latest.reason,
        message=latest.describe(),
        allow=latest.allow,
        contacts=found.contacts,
        sent_bytes=found.sent_bytes,
        received_bytes=found.received_bytes,
        first_at=iso(found.first_at),
        last_at=iso(latest.time),
    )
