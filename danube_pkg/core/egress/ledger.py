"""The egress ledger: what a job reached, what it was refused, and on behalf of which step; one JSON object a line.

A line is one of two kinds. A decision (`verdict`) is written before the first byte leaves; a later one of the same
connection, made when more is known of it, takes its place. An end (`end`) is written when the connection is over, and has
the bytes each way. Lines are only ever appended; a connection without an end was still open, or its proxy was killed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from danube_pkg.core.egress.addresses import AddressKind, kind_of, parse_address
from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.policy import EgressReason, Verdict, entry_for
from danube_pkg.kit.records import Record, replace, to_builtins

MAX_DECISIONS = 20_000
"""Of one job: hundreds of times what a build connects, and what a server reads in a moment. At the bound the proxy refuses what
it cannot write down any more."""

MAX_ALIKE = 20
"""Refusals of the same place to the same step that are written one by one; the others are counted, and the count is written."""


class Way(StrEnum):
    """How somebody tried to get out."""

    CONNECT = "connect"
    HTTP = "http"
    DNS = "dns"
    DIRECT = "direct"
    """Past the proxy, where no route leads: the kernel counts the attempts and knows no destination of them."""
    RAW_SOCKET = "raw-socket"
    """Past every protocol that has addresses: no such socket is made, so there is no destination either."""


class Contact(Record):
    """One attempt to get out. time: Unix seconds. step: None where it is not known. server_name: of a TLS handshake that was
    refused. attempts: more than 1 for what was only counted. ended_at: None while it is open."""

    time: float
    connection: str
    way: Way
    step: int | None
    host: str
    port: int
    verdict: Verdict
    reason: EgressReason
    address: str = ""
    server_name: str = ""
    allow: tuple[str, ...] = ()
    attempts: int = 1
    sent_bytes: int = 0
    received_bytes: int = 0
    ended_at: float | None = None

    def describe(self) -> str:
        """Why, as the end of a sentence."""
        target = f"{self.host}:{self.port}"
        leads = "is" if self.address in ("", self.host) else f"leads to {self.address},"
        return _SENTENCES[self.reason].format(
            target=target, leads=leads, name=self.server_name or "no server", attempts=self.attempts
        )


_INWARDS = "{target} {leads} {what}; such an address must be listed itself"
_SENTENCES: Mapping[EgressReason, str] = {
    EgressReason.LISTED: "the allowlist has it",
    EgressReason.LEARNED: "no allowlist has it; it was let through to learn",
    EgressReason.NOT_LISTED: "no line of the allowlist names {target}",
    EgressReason.PORT_NOT_LISTED: "the allowlist names its host, but not the port of {target}",
    EgressReason.ADDRESS_NOT_LISTED: "{target} is an address, and no line of the allowlist holds it",
    EgressReason.SERVER_NAME_DIFFERS: "the TLS handshake asked for {name}, the connection for {target}",
    EgressReason.SERVER_NAME_MISSING: "the TLS handshake for {target} names no server, or not in a way that can be checked",
    EgressReason.NOT_TLS: "what was sent to {target} is not TLS",
    EgressReason.HOST_DIFFERS: "a request over the connection to {target} was for the host {name}",
    EgressReason.BAD_REQUEST: "it was not a request that can be understood",
    EgressReason.TOO_MANY_CONNECTIONS: "the job has too many connections open at once",
    EgressReason.LEDGER_FULL: "the job's ledger is full, and nothing leaves that is not written down",
    EgressReason.DNS: "there is no DNS in a pod: a program must use HTTPS_PROXY, which resolves names for it",
    EgressReason.NO_ROUTE: "attempts to go past the proxy: {attempts}; a pod has no network but its own loopback",
    EgressReason.RAW_SOCKET: "a raw socket, which would go past the proxy, is given to no step",
    EgressReason.NO_ADDRESS: "{target} has no address: its name could not be resolved",
    EgressReason.UNREACHABLE: "{target} could not be reached",
    **{
        EgressReason(f"{kind}-address"): _INWARDS.replace("{what}", what)
        for kind, what in {
            "private": "an address of a private network",
            "loopback": "the machine that runs the job",
            "link-local": "an address of the local link",
            "metadata": "the metadata service of a cloud (it gives out credentials)",
            "multicast": "a multicast address",
            "reserved": "a reserved address",
            "own": "the machine that runs the job",
        }.items()
    },
}


def masked(contact: Contact, masks: HostMasks) -> Contact:
    """The same attempt without what its names must not show."""
    return replace(
        contact,
        host=masks.mask(contact.host),
        address=masks.mask(contact.address),
        server_name=masks.mask(contact.server_name),
        allow=tuple(map(masks.mask, contact.allow)),
    )


def encode_decision(job_id: str, contact: Contact) -> bytes:
    """The line of a decision."""
    left_out = {"sent_bytes", "received_bytes", "ended_at"} | ({"attempts"} if contact.attempts == 1 else set())
    kept = {key: value for key, value in to_builtins(contact).items() if key not in left_out and value not in ("", ())}
    return _line({"job": job_id, **kept})


def encode_end(job_id: str, contact: Contact) -> bytes:
    """The line of an end; the contact has its `ended_at` and its bytes."""
    end = {"end": contact.ended_at, "sent_bytes": contact.sent_bytes, "received_bytes": contact.received_bytes}
    return _line({"job": job_id, "connection": contact.connection, **end})


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def read_ledger(lines: Iterable[bytes]) -> list[Contact]:
    """Contacts in the order of their first decisions. A line that a crash has cut is passed over."""
    found: dict[str, Contact] = {}
    for line in lines:
        data = _read_line(line)
        connection = data.get("connection")
        if "end" in data and connection in found:
            found[connection] = replace(
                found[connection],
                ended_at=data["end"],
                sent_bytes=data["sent_bytes"],
                received_bytes=data["received_bytes"],
            )
        elif "verdict" in data and connection:
            before = found.get(connection)
            found[connection] = replace(_contact(data), time=before.time if before else data["time"])
    return list(found.values())


def _read_line(line: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(line)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _contact(data: Mapping[str, Any]) -> Contact:
    return Contact(
        time=data["time"],
        connection=data["connection"],
        way=Way(data["way"]),
        step=data["step"],
        host=data.get("host", ""),
        port=data.get("port", 0),
        verdict=Verdict(data["verdict"]),
        reason=EgressReason(data["reason"]),
        address=data.get("address", ""),
        server_name=data.get("server_name", ""),
        allow=tuple(data.get("allow", ())),
        attempts=data.get("attempts", 1),
    )


class Destination(Record):
    """All contacts of one step with one place that ended alike; `latest` stands for them."""

    latest: Contact
    contacts: int
    sent_bytes: int
    received_bytes: int
    first_at: float
    addresses: tuple[str, ...]


def by_destination(contacts: Iterable[Contact]) -> list[Destination]:
    """Grouped by step, place and verdict, in the order in which they were first seen."""
    groups: dict[tuple[object, ...], list[Contact]] = {}
    for contact in contacts:
        key = (contact.step, contact.way is Way.DNS, contact.host, contact.port, contact.verdict, contact.reason)
        groups.setdefault(key, []).append(contact)
    return [
        Destination(
            latest=group[-1],
            contacts=sum(one.attempts for one in group),
            sent_bytes=sum(one.sent_bytes for one in group),
            received_bytes=sum(one.received_bytes for one in group),
            first_at=group[0].time,
            addresses=tuple(dict.fromkeys(one.address for one in group if one.address)),
        )
        for group in groups.values()
    ]


def needed_allowlist(contacts: Iterable[Contact]) -> list[str]:
    """The entries without which these contacts would be refused: what was let through to learn, and what was used of a list.

    Names first, then addresses; sorted, so that the same run gives the same list.
    """
    needed: set[str] = set()
    for contact in contacts:
        if contact.verdict is Verdict.ALLOWED and contact.host:
            needed.add(entry_for(contact.host, contact.port))
            address = parse_address(contact.address)
            if address is not None and kind_of(address) is not AddressKind.PUBLIC:
                needed.add(entry_for(contact.address, contact.port))
    return sorted(needed, key=lambda entry: (entry[0].isdigit() or entry[0] == "[", entry))


def refused(contacts: Iterable[Contact]) -> Sequence[Contact]:
    """Those that Danube said no to."""
    return [contact for contact in contacts if contact.verdict is Verdict.REFUSED]
