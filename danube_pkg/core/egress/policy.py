"""The egress policy: the syntax of allowlists, and the decision about each connection. Pure.

An entry is a name (`github.com`), a pattern (`*.example.org`: exactly one label in front; `**.example.org`: any number
of them; neither is `example.org` itself; `*`: every name), an address or a network (`10.1.2.3`, `10.0.0.0/8`,
`[2001:db8::5]`), each with or without a port; without one it stands for 443 and 80. Patterns match as in certificates
and in Cilium's policies, so that a list means the same on every runtime. An address that is not on the public internet
must be listed as an address; a name is not enough.

The proxy resolves, connects and records.
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
from danube_pkg.core.egress.companions import companions_of
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import Record

DEFAULT_PORTS = (443, 80)
"""The ports of package managers, Git and registries."""

TLS_PORT, HTTP_PORT = DEFAULT_PORTS

PROXY_PORT = 31280
"""The proxy's port on the pod's loopback: squid's 3128 with a digit more, below the ephemeral ports, so that no service
under test uses it."""

MAX_ALLOWLIST_BYTES = 64 * 1024
"""Thousands of lines. A list is sent to the proxy in one message."""

MAX_NAME_LENGTH = 253

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r":([0-9]{1,5})")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/-]*")


class Verdict(StrEnum):
    """FAILED: the connection is allowed, but could not be made."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


class EgressReason(StrEnum):
    """The reason of a verdict; stable, since ledger and API have it."""

    LISTED = "listed"
    LEARNED = "learned"
    CONFIGURED = "configured"
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
    CREDENTIAL_WRONG = "credential-wrong"
    CREDENTIAL_FOREIGN = "credential-foreign"
    NO_ADDRESS = "no-address"
    UNREACHABLE = "unreachable"


class EgressTarget(Record):
    """The target of a connection.

    host: a name in lower case without a final dot, or an address, which `address` has too.
    """

    host: str
    port: int
    address: Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.address is not None and self.address.version == 6 else self.host
        return f"{host}:{self.port}"


class Decision(Record):
    """allow: the entries with which the allowlist would allow it, and what a well-known service needs beside it; empty
    if no entry would."""

    verdict: Verdict
    reason: EgressReason
    allow: tuple[str, ...] = ()


class Entry(Record):
    """One line of an allowlist: `labels` of a name (the first may be `*` or `**`), or a `network`."""

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
    """Parses one line of an allowlist. Raises Invalid with a suggestion."""
    if "://" in text:
        host = text.partition("://")[2].partition("/")[0]
        raise _wrong(text, "it is a URL, and paths are encrypted by TLS", f"use only the host: {host}")
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
            text,
            "it is neither a host name nor an address",
            "for example: github.com, *.example.org, registry.corp:5000",
        )
    if _NUMBER.fullmatch(names[-1]):
        raise _wrong(text, "it is not an address", "an IPv4 address has four numbers: 10.1.2.3")
    return Entry(tuple(labels), None, port)


def parse_target(text: str, default_port: int | None = None) -> EgressTarget:
    """Parses `host:port` of a client. Raises Invalid; an invalid target does not appear in the ledger."""
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
    if _NUMBER.fullmatch(labels[-1]):  # a resolver would accept it as an address in an old notation
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


def with_registries(allowlist: Sequence[str], registries: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """The allowlist with an entry of the server's own for each configured registry that it names without a pattern.

    registries: host and port. Such an entry is the registry's port, at whatever address the registry has: the operator
    has named it, and users cannot be expected to know an address inside a cluster.
    """
    entries = [parse_entry(text) for text in allowlist]
    listed = [(host, port) for host, port in registries if any(_lists(entry, host, port) for entry in entries)]
    return (*allowlist, *(f"{_REGISTRY}{host}:{port}" for host, port in sorted(set(listed))))


def _lists(entry: Entry, host: str, port: int) -> bool:
    address = parse_address(host)
    named = entry.holds(address) if address is not None else entry.labels == tuple(host.split("."))
    return named and entry.port in (None, port)


_REGISTRY = "registry://"
"""Begins an entry of `with_registries`. Users cannot write one: `parse_entry` refuses URLs."""


class Policy:
    """An allowlist, also one of `with_registries`. learn: allows and records targets that are not listed, except those
    on this machine."""

    def __init__(self, entries: Iterable[str], *, learn: bool = False) -> None:
        texts = tuple(entries)
        self._entries = tuple(parse_entry(text) for text in texts if not text.startswith(_REGISTRY))
        targets = [parse_target(text.removeprefix(_REGISTRY)) for text in texts if text.startswith(_REGISTRY)]
        self._registries = frozenset((target.host, target.port) for target in targets)
        self.learn = learn

    def decide_target(self, target: EgressTarget) -> Decision:
        """Decides by the requested target, before a name is resolved: names that are not listed are never looked up."""
        if target.address is not None:
            return self.decide_address(target, target.address)
        if (target.host, target.port) in self._registries:
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        named = [entry for entry in self._entries if entry.names(target.host)]
        if any(entry.has_port(target.port) for entry in named):
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        if self.learn:
            return Decision(Verdict.ALLOWED, EgressReason.LEARNED, (entry_for(target.host, target.port),))
        if named:
            return Decision(Verdict.REFUSED, EgressReason.PORT_NOT_LISTED, (entry_for(target.host, target.port),))
        needed = (entry_for(target.host, target.port), *self.missing_companions(target.host))
        return Decision(Verdict.REFUSED, EgressReason.NOT_LISTED, needed)

    def missing_companions(self, host: str) -> Sequence[str]:
        """The hosts that a well-known service needs too and that are not listed."""
        return [one for one in companions_of(host) if not self._lists(one, TLS_PORT)]

    def services_without_companions(self) -> Mapping[str, Sequence[str]]:
        """The well-known services that are listed by their name, and what is missing of each."""
        listed = [".".join(entry.labels) for entry in self._entries if entry.has_port(TLS_PORT)]
        return {host: missing for host in listed if (missing := self.missing_companions(host))}

    def _lists(self, host: str, port: int) -> bool:
        return any(entry.names(host) and entry.has_port(port) for entry in self._entries)

    def decide_address(self, target: EgressTarget, address: Address, *, own: bool = False) -> Decision:
        """Decides by one of the addresses of a target that is allowed. own: the address is one of this machine."""
        if (target.host, target.port) in self._registries:
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        kind = kind_of(address)
        if own and kind in (AddressKind.PUBLIC, AddressKind.PRIVATE):
            kind = AddressKind.OWN
        holding = [entry for entry in self._entries if entry.holds(address)]
        if any(entry.has_port(target.port) for entry in holding):
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        missing: tuple[str, ...] = (entry_for(str(address), target.port),)
        if target.address is None and not any(e.names(target.host) and e.has_port(target.port) for e in self._entries):
            missing = (
                entry_for(target.host, target.port),
                *missing,
            )  # learning let the name pass; a list must have both
        if target.address is None and kind is AddressKind.PUBLIC:
            return Decision(Verdict.ALLOWED, EgressReason.LISTED)
        if self.learn and kind in (AddressKind.PUBLIC, AddressKind.PRIVATE):
            return Decision(Verdict.ALLOWED, EgressReason.LEARNED, missing)
        if kind is not AddressKind.PUBLIC:
            return Decision(Verdict.REFUSED, EgressReason(f"{kind}-address"), missing)
        reason = EgressReason.PORT_NOT_LISTED if holding else EgressReason.ADDRESS_NOT_LISTED
        return Decision(Verdict.REFUSED, reason, missing)

    def decide_server_name(self, target: EgressTarget, server_name: str | None) -> Decision:
        """Decides by the server name of a ClientHello. A listed address needs none, or a listed name."""
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
    """The narrowest entry for a target. For 443 and 80 it has no port, as users write it."""
    address = parse_address(host)
    bracketed = f"[{host}]" if address is not None and address.version == 6 else host
    return host if port in DEFAULT_PORTS else f"{bracketed}:{port}"


def yaml_lines(entries: Sequence[str], indent: str = "") -> str:
    """The list as YAML, ready to be pasted below `spec:`."""
    lines = [f"{indent}egress_allowlist:"]
    lines += [f"{indent}  - {entry}" if _PLAIN.fullmatch(entry) else f'{indent}  - "{entry}"' for entry in entries]
    return "\n".join(lines) + "\n"


def proxy_environment(step: int | None) -> Mapping[str, str]:
    """Variables with which programs use the proxy of a pod's loopback. Its address identifies the step; None: no
    particular step."""
    host = address_of_step(step)
    java = " ".join(f"-D{kind}.proxyHost={host} -D{kind}.proxyPort={PROXY_PORT}" for kind in ("http", "https"))
    return {
        **proxy_variables(f"http://{host}:{PROXY_PORT}"),
        # A JVM ignores the others; it names these on standard error when it starts. It has none for a proxy's password.
        "JAVA_TOOL_OPTIONS": java,
    }


def proxy_variables(proxy: str, direct_hosts: Iterable[str] = ()) -> Mapping[str, str]:
    """Variables with which programs use the proxy at that URL, except for these hosts."""
    direct = ",".join(("localhost", "127.0.0.1", "::1", *direct_hosts))
    return {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), direct),
        "NODE_USE_ENV_PROXY": "1",  # Node's fetch ignores the others without it
    }


def address_of_step(step: int | None) -> str:
    """The proxy's address for a step, from 127.1.0.0 on: 127.0.0.0/8 is the pod's loopback, enough for all steps."""
    if step is None or step > 0xFFFF:
        return "127.0.0.1"
    return f"127.1.{step >> 8}.{step & 0xFF}"


def step_of_address(address: str) -> int | None:
    """The step whose proxy address it is; None for others."""
    first, second, high, low = (int(number) for number in address.split("."))
    return high << 8 | low if (first, second) == (127, 1) else None
