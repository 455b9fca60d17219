"""The egress ledger: which targets a job reached or was refused, and in which step; one JSON object a line.

A line is a decision or an end. A decision (`verdict`) is written before the first byte leaves; a later decision for
the same connection replaces it. An end (`end`) is written when the connection is closed, with the bytes in each
direction. Lines are only appended; a connection without an end is open, or its proxy was killed.
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
"""Limit of one job: hundreds of times the connections of a build, and read by a server in a moment. At the limit the
proxy refuses everything, since it cannot record it."""

MAX_REPEATS = 20
"""Refusals of one target in one step that are recorded one by one; of further ones, the count is recorded."""


class Way(StrEnum):
    """How a program tried to connect."""

    CONNECT = "connect"
    HTTP = "http"
    DNS = "dns"
    DIRECT = "direct"
    """Without the proxy, so without a route: the kernel counts the attempts, but not their destinations."""
    RAW_SOCKET = "raw-socket"
    """With a raw socket, which steps cannot open; there is no destination either."""
    IMAGE = "image"
    """By the server, for an image of the job: a registry, its token service, or where it redirects to."""
    SOURCE = "source"
    """By the server, for a submodule of the job's source."""


class Contact(Record):
    """One attempt to connect.

    time: Unix seconds. step: None if unknown. server_name: of a refused TLS handshake. attempts: more than 1 for
    attempts that were only counted. ended_at: None while the connection is open.
    """

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
        """The cause, as the end of a sentence."""
        target = f"{self.host}:{self.port}"
        leads = "is" if self.address in ("", self.host) else f"leads to {self.address},"
        return DESCRIPTIONS[self.reason].format(
            target=target, leads=leads, name=self.server_name or "no server", attempts=self.attempts
        )


_INWARDS = "{target} {leads} {what}; such an address must be listed itself"
DESCRIPTIONS: Mapping[EgressReason, str] = {
    EgressReason.LISTED: "the allowlist has it",
    EgressReason.LEARNED: "the allowlist does not have it; it was allowed in order to learn",
    EgressReason.CONFIGURED: "the server's configuration has it, or sends there",
    EgressReason.NOT_LISTED: "no line of the allowlist names {target}",
    EgressReason.PORT_NOT_LISTED: "the allowlist names its host, but not the port of {target}",
    EgressReason.ADDRESS_NOT_LISTED: "{target} is an address, and no line of the allowlist contains it",
    EgressReason.SERVER_NAME_DIFFERS: "the TLS handshake is for {name}, the connection for {target}",
    EgressReason.SERVER_NAME_MISSING: "the TLS handshake for {target} has no server name, or one that cannot be checked",
    EgressReason.NOT_TLS: "what was sent to {target} is not TLS",
    EgressReason.HOST_DIFFERS: "a request over the connection to {target} was for the host {name}",
    EgressReason.BAD_REQUEST: "it is not a valid request",
    EgressReason.TOO_MANY_CONNECTIONS: "the job has too many connections open at once",
    EgressReason.LEDGER_FULL: "the job's egress ledger is full, and connections must be recorded",
    EgressReason.DNS: "there is no DNS in a pod: a program must use HTTPS_PROXY, which resolves names for it",
    EgressReason.NO_ROUTE: "attempts to bypass the proxy: {attempts}; a pod has no network but its own loopback",
    EgressReason.RAW_SOCKET: "steps have no raw sockets, since they would bypass the proxy",
    EgressReason.CREDENTIAL_WRONG: "the user or password that a program gave to the proxy is not that of the job",
    EgressReason.CREDENTIAL_FOREIGN: "the job's credential was used from an address that is not its pod's",
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
    """The contact with masked names."""
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
    """Contacts in the order of their first decisions. A line that a crash has truncated is skipped."""
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
    """The contacts of one step with one target and the same verdict. latest: the last one."""

    latest: Contact
    contacts: int
    sent_bytes: int
    received_bytes: int
    first_at: float
    addresses: tuple[str, ...]


def by_destination(contacts: Iterable[Contact]) -> list[Destination]:
    """Groups contacts by step, target and verdict, in the order of their first contact."""
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
    """The entries that these contacts need: those that were learned, and those of the allowlist that were used.

    Names first, then addresses; sorted, so that the same run gives the same list.
    """
    needed: set[str] = set()
    for contact in contacts:
        if contact.verdict is Verdict.ALLOWED and contact.host and contact.reason is not EgressReason.CONFIGURED:
            needed.add(entry_for(contact.host, contact.port))
            address = parse_address(contact.address)
            if address is not None and kind_of(address) is not AddressKind.PUBLIC:
                needed.add(entry_for(contact.address, contact.port))
    return sorted(needed, key=lambda entry: (entry[0].isdigit() or entry[0] == "[", entry))


def refused(contacts: Iterable[Contact]) -> Sequence[Contact]:
    """The contacts that were refused."""
    return [contact for contact in contacts if contact.verdict is Verdict.REFUSED]
