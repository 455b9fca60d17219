"""Entries of the audit log."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.identity.audit import AuditEntry
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso


class AuditView(Record):
    """One action of one caller."""

    sequence: Annotated[int, about("Its number in the chain, from 1.")]
    at: Annotated[Time, about("When it happened.")]
    actor: Annotated[str, about("The caller: an address, local-administrator, or the id of a webhook delivery.")]
    action: Annotated[str, about("The action, as in the API's documentation: set-secrets, for example.")]
    target: Annotated[str, about("What it was done to: a job's id or a pipeline's name, for example.")]
    outcome: Annotated[str, about("`done`, or the reference of the error.")]
    address: Annotated[str, about("The IP address that the request came from, or unix-socket.")]
    request_id: Annotated[str, about("The request's id, which the server's log has too.")]
    details: Annotated[Mapping[str, str], about("The request's path, and the scopes of the token if one was used.")]


class AuditPage(Record):
    """A page of the audit log."""

    entries: Annotated[tuple[AuditView, ...], about("Newest first.")]
    cursor: Annotated[int | None, about("The `cursor` of the next page; null on the last.")]


class AuditCheckView(Record):
    """Whether the audit log is complete and unchanged."""

    whole: Annotated[bool, about("True if no entry is changed or missing.")]
    entries: Annotated[int, about("How many entries there are.")]
    broken_at: Annotated[
        int | None, about("The number of the first entry that is changed or missing; null if none is.")
    ]


def audit_view(entry: AuditEntry) -> AuditView:
    """The entry without its hash."""
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
