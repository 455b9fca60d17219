"""The egress ledger of a job: its contacts one by one, and by destination."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.egress.ledger import Contact, Destination, Way
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso, iso_or_none


class ContactView(Record):
    """One connection that was allowed or refused."""

    time: Annotated[Time, about("When it was decided.")]
    step: Annotated[int | None, about("The step's number, 0 for the danubefile itself; null if it is not known.")]
    way: Annotated[
        Way,
        about("How it was tried: through the proxy (connect, http), by DNS, past the proxy, or by the server (image)."),
    ]
    host: Annotated[str, about("The host's name or address; empty if it is not known.")]
    port: Annotated[int, about("The port; 0 if it is not known.")]
    address: Annotated[str, about("The address that the name led to.")]
    server_name: Annotated[str, about("The name in the TLS handshake, if the connection was refused for it.")]
    verdict: Annotated[Verdict, about("Whether it was allowed.")]
    reason: Annotated[EgressReason, about("Why, as a stable word.")]
    message: Annotated[str, about("Why, in words.")]
    allow: Annotated[tuple[str, ...], about("The entries of an allowlist that would allow it.")]
    attempts: Annotated[int, about("How many attempts this entry stands for.")]
    sent_bytes: Annotated[int, about("Bytes that the step sent.")]
    received_bytes: Annotated[int, about("Bytes that the step received.")]
    ended_at: Annotated[Time | None, about("When it was closed; null while it is open, or if its proxy was killed.")]


class DestinationView(Record):
    """All contacts of one step with one host and port that had the same verdict."""

    step: Annotated[int | None, about("The step's number, 0 for the danubefile itself; null if it is not known.")]
    way: Annotated[Way, about("How the newest contact was tried.")]
    host: Annotated[str, about("The host's name or address; empty if it is not known.")]
    port: Annotated[int, about("The port; 0 if it is not known.")]
    addresses: Annotated[tuple[str, ...], about("The addresses that the name led to.")]
    verdict: Annotated[Verdict, about("Whether it was allowed.")]
    reason: Annotated[EgressReason, about("Why, as a stable word.")]
    message: Annotated[str, about("Why, in words, for the newest contact.")]
    allow: Annotated[tuple[str, ...], about("The entries of an allowlist that would allow it.")]
    contacts: Annotated[int, about("How many contacts there were.")]
    sent_bytes: Annotated[int, about("Bytes that the step sent, in all contacts.")]
    received_bytes: Annotated[int, about("Bytes that the step received, in all contacts.")]
    first_at: Annotated[Time, about("When the first contact was.")]
    last_at: Annotated[Time, about("When the newest contact was.")]


class EgressView(Record):
    """What a job reached and what it was refused."""

    network: Annotated[Network, about("Which network the job's pods have.")]
    allowlist: Annotated[tuple[str, ...], about("The allowlist that applied to the job.")]
    needed_allowlist: Annotated[tuple[str, ...], about("The smallest allowlist that would have been enough.")]
    destinations: Annotated[tuple[DestinationView, ...], about("All destinations, whatever the query selects.")]
    contacts: Annotated[tuple[ContactView, ...], about("Contacts that the query selects, oldest first.")]
    cursor: Annotated[int | None, about("The `cursor` of the next page of contacts; null on the last.")]


def contact_view(contact: Contact) -> ContactView:
    """The contact, with its reason in words."""
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
    """The destination, with the reason of its newest contact in words."""
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
