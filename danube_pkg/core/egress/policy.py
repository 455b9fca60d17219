"""What a pod may reach: the allowlist's language, and the decision about each attempt to get out.

An entry is a name (`github.com`), a pattern (`*.example.org`: exactly one label in front; `**.example.org`: any number of
them; neither is `example.org` itself; `*`: every name), an address or a network (`10.1.2.3`, `10.0.0.0/8`, `[2001:db8::5]`),
each with or without a port; without one it stands for 443 and 80. Patterns mean what they mean in a certificate and in
Cilium's policies, so that a list says the same on every runtime. A name is not enough for an address that is not on the
public internet: that must be listed as well, as an address.

Decisions are pure; resolving, connecting and recording are the proxy's affair.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_network

from danube_pkg.core.egress.addresses import (
    Address,
    AddressKind,
    Network,
    kind_of,
    parse_address,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import Record

DEFAULT_PORTS = (443, 80)
"""What package managers, Git and registries speak."""

TLS_PORT, HTTP_PORT = DEFAULT_PORTS

PROXY_PORT = 31280
"""In the pod, on the loopback: squid's 3128 in a place where no service under test listens, below the ephemeral ports."""

MAX_ALLOWLIST_BYTES = 64 * 1024
"""Some thousand lines. A list is handed to the proxy in one message; a longer one is not a list that anybody reads."""

MAX_NAME_LENGTH = 253

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r":([0-9]{1,5})")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/-]*")


class Verdict(StrEnum):
    """FAILED is nobody's decision: it may be reached, and could not be."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


class EgressReason(StrEnum):
    """Why; stable, part of the ledger and the API."""

    LISTED = "listed"
    LEARNED = "learned"
    NOT_LISTED = "not-listed"
    PORT_NOT_LISTED = "port-not-listed"
    ADDRESS_NOT_LISTED = "address-not-listed"
    PRIVATE_ADDRESS = "private-address"
    LOOPBACK_ADDRESS = "loopback-address"
    LINK_LOCAL_ADDRESS = "link-local-address"
    METADATA_ADDRESS = "metadata-address"
    MULTICAST_ADDRESS = "multicast-address"
    RESERVED_ADDRESS = "reserved-address"
    OWN_ADDRESS = "own-address"
    SERVER_NAME_DIFFERS = "server-name-differs"
    SERVER_NAME_MISSING = "server-name-missing"
    NOT_TLS = "not-tls"
    HOST_DIFFERS = "host-differs"
    BAD_REQUEST = "bad-request"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    LEDGER_FULL = "ledger-full"
    DNS = "dns"
    NO_ROUTE = "no-route"
    RAW_SOCKET = "raw-socket"
    NO_ADDRESS = "no-address"
    UNREACHABLE = "unreachable"


class EgressTarget(Record):
    """Where somebody wants to go. host: a name in lower case without a final dot, or an address; `address` then has it."""

    host: str
    port: int
    address: Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.address is not None and self.address.version == 6 else self.host
        return f"{host}:{self.port}"


class Decision(Record):
    """allow: the entries that an allowlist would need for another verdict; none where no entry would help."""

    verdict: Verdict
    reason: EgressReason
    allow: tuple[str, ...] = ()


class Entry(Record):
    """One line of an allowlist. Either `labels` (a name, the first one may be `*` or `**`) or a `network`."""

    labels: tuple[str, ...]
    network: Network | None
    port: int | None

    def has_port(self, port: int) -> bool:
        return port == self.port or (self.port is None and port in DEFAULT_PORTS)

    def names(self, host: str) -> bool:
        if not self.labels:
            return False
        if self.labels == ("*",):
            return True
        labels, first, rest = host.split("."), self.labels[0], len(self.labels) - 1
        if first == "**":
            return len(labels) > rest and tuple(labels[-rest:]) == self.labels[1:]
        if first == "*":
            return len(labels) == rest + 1 and tuple(labels[1:]) == self.labels[1:]
        return tuple(labels) == self.labels

    def holds(self, address: Address) -> bool:
        return self.network is not None and address.version == self.network.version and address in self.network


def parse_entry(text: str) -> Entry:
    """One line of an allowlist. Raises Invalid that says what was meant."""
    if "://" in text:
        host = text.partition("://")[2].partition("/")[0]
        raise _wrong(text, "it is a URL, and paths cannot be seen inside of TLS", f"name the host alone: {host}")
    place, port = _split_port(text)
    if port is not None and not 0 < port < 65536:
        raise _wrong(text, f"there is no port {port}", "ports are 1 to 65535")
    if "/" in place or parse_address(place) is not None:
        try:
            return Entry((), ip_network(place), port)
        except ValueError as error:
            raise _wrong(text, str(error), "for example: 10.0.0.0/8, or 10.1.2.3:5432") from error
    labels = _normal(place).split(".")
    names = labels[1:] if labels[0] in ("*", "**") and len(labels) > 1 else labels
    if labels == ["*"]:
        return Entry(("*",), None, port)
    if any("*" in label for label in names):
        raise _wrong(text, "a star stands for whole labels at the beginning", "*.example.org, or **.example.org")
    if not all(_LABEL.fullmatch(label) for label in names) or len(place) > MAX_NAME_LENGTH:
        raise _wrong(
            text, "it is no host name and no address", "for example: github.com, *.example.org, registry.corp:5000"
        )
    if _NUMBER.fullmatch(names[-1]):
        raise _wrong(text, "it is no address", "an IPv4 address has four numbers: 10.1.2.3")
    return Entry(tuple(labels), None, port)


def parse_target(text: str, default_port: int | None = None) -> EgressTarget:
    """`host:port` as a client names it. Raises Invalid; what is refused here cannot be written into a ledger either."""
    place, port = _split_port(text)
    port = default_port if port is None else port
    if port is None or not 0 < port < 65536:
        raise Invalid("egress-target-invalid", "a target is host:port")
    address = parse_address(place)
    if address is not None:
        return EgressTarget(str(address), port, address)
    name = _normal(place)
    labels = name.split(".")
    if len(name) > MAX_NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid("egress-target-invalid", "the host is neither a name nor an address")
    if _NUMBER.fullmatch(labels[-1]):  # what a resolver would take for an address in an old notation
        raise Invalid("egress-target-invalid", "an IPv4 address has four decimal numbers")
    return EgressTarget(name, port)


def _split_port(text: str) -> tuple[str, int | None]:
    """`name:1`, `1.2.3.4:1`, `[v6]:1`, `[v6/64]:1`; a bare IPv6 address has no port."""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        found = _PORT.fullmatch(rest)
        if not bracket or (rest and not found):
            return text, None
        return inner, int(found[1]) if found else None
    head, colon, tail = text.rpartition(":")
    if colon and ":" not in head and tail.isascii() and tail.isdecimal() and len(tail) <= 5:
        return head, int(tail)
    return text, None


def _normal(name: str) -> str:
    return name.lower().removesuffix(".")


def _wrong(text: str, why: str, hint: str) -> Invalid:
    return Invalid("egress-entry-invalid", f"{text!r} cannot be in an allowlist: {why}", hint=hint)


class Policy:
    """An allowlist, and how it is kept. learn: let through and record what is on no list, this machine's own ports excepted."""

    def __init__(self, entries: Iterable[str], *, learn: bool = False) -> None:
        self._entries = tuple(parse_entry(text) for text in entries)
        self.learn = learn

    def decide_target(self, target: EgressTarget) -> Decision:
        """By what was asked for, before anything is resolved: a name that is not listed is never looked up."""
        if target.address is not None:
            return self.decide_address(target, target.address)
        named = [entry for entry in self._entries if entry.names(target.host)]
        if any(entry.has_port(target.port) for entry in named):
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        if self.learn:
            return Decision(Verdict.ALLOWED, EgressReason.LEARNED, (entry_for(target.host, target.port),))
        reason = EgressReason.PORT_NOT_LISTED if named else EgressReason.NOT_LISTED
        return Decision(Verdict.REFUSED, reason, (entry_for(target.host, target.port),))

    def decide_address(self, target: EgressTarget, address: Address, *, own: bool = False) -> Decision:
        """By one of the addresses behind the target, which is listed itself. own: it is one of this machine's."""
        kind = kind_of(address)
        if own and kind in (AddressKind.PUBLIC, AddressKind.PRIVATE):
            kind = AddressKind.OWN
        holding = [entry for entry in self._entries if entry.holds(address)]
        if any(entry.has_port(target.port) for entry in holding):
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        missing = (entry_for(str(address), target.port),)
        if target.address is None and kind is AddressKind.PUBLIC:
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        if self.learn and kind in (AddressKind.PUBLIC, AddressKind.PRIVATE):
            return Decision(Verdict.ALLOWED, EgressReason.LEARNED, missing)
        if kind is not AddressKind.PUBLIC:
            return Decision(Verdict.REFUSED, EgressReason(f"{kind}-address"), missing)
        reason = EgressReason.PORT_NOT_LISTED if holding else EgressReason.ADDRESS_NOT_LISTED
        return Decision(Verdict.REFUSED, reason, missing)

    def decide_server_name(self, target: EgressTarget, server_name: str | None) -> Decision:
        """By the server name of a ClientHello. An address that is listed may be spoken to without one, or by a listed name."""
        if server_name is None:
            if target.address is not None:
                return Decision(Verdict.ALLOWED, EgressReason.LISTED)
            return Decision(Verdict.REFUSED, EgressReason.SERVER_NAME_MISSING)
        name = _normal(server_name)
        if target.address is None:
            if name == target.host:
                return Decision(Verdict.ALLOWED, EgressReason.LISTED)
            return Decision(Verdict.REFUSED, EgressReason.SERVER_NAME_DIFFERS)
        if self.learn or name == target.host or any(e.names(name) and e.has_port(target.port) for e in self._entries):
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        return Decision(Verdict.REFUSED, EgressReason.SERVER_NAME_DIFFERS, (entry_for(name, target.port),))


def entry_for(host: str, port: int) -> str:
    """The narrowest entry for it; 443 and 80 come as the entry without a port, as people write it."""
    address = parse_address(host)
    bracketed = f"[{host}]" if address is not None and address.version == 6 else host
    return host if port in DEFAULT_PORTS else f"{bracketed}:{port}"


def yaml_lines(entries: Sequence[str], indent: str = "") -> str:
    """The list as YAML, ready to be pasted below `spec:`."""
    lines = [f"{indent}egress_allowlist:"]
    lines += [f"{indent}  - {entry}" if _PLAIN.fullmatch(entry) else f'{indent}  - "{entry}"' for entry in entries]
    return "\n".join(lines) + "\n"


def proxy_environment(step: int | None) -> Mapping[str, str]:
    """What makes programs use the proxy. The address says which step asks; None: nobody in particular."""
    proxy = f"http://{address_of_step(step)}:{PROXY_PORT}"
    spared = "localhost,127.0.0.1,::1"
    return {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), spared),
        "NODE_USE_ENV_PROXY": "1",  # or Node's own fetch would look at none of these
    }


def address_of_step(step: int | None) -> str:
    """127.1.0.0 and on: all of 127.0.0.0/8 is the pod's own loopback, so that each step can have its own address of it."""
    if step is None or step > 0xFFFF:
        return "127.0.0.1"
    return f"127.1.{step >> 8}.{step & 0xFF}"


def step_of_address(address: str) -> int | None:
    """The step that was told to come in by this address."""
    first, second, high, low = (int(number) for number in address.split("."))
    return high << 8 | low if (first, second) == (127, 1) else None
