"""Classifies IP addresses: the public internet, or networks that builds must not reach by a name alone.

The table is Danube's own (IANA's special-purpose registries, RFC 6890 and its updates, and the clouds' metadata
services), since the standard library's answers differ between its patch releases.
"""

from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressKind(StrEnum):
    """All kinds but PUBLIC are reachable only if the allowlist has the address itself."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "metadata"
    MULTICAST = "multicast"
    RESERVED = "reserved"
    OWN = "own"
    """An address of this machine. `kind_of` never returns it, since only the machine knows its addresses."""


_KINDS: tuple[tuple[AddressKind, Sequence[str]], ...] = (
    (
        AddressKind.METADATA,
        ("169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128"),
    ),
    (AddressKind.LOOPBACK, ("127.0.0.0/8", "::1/128")),
    (AddressKind.LINK_LOCAL, ("169.254.0.0/16", "fe80::/10")),
    (AddressKind.PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")),
    (AddressKind.MULTICAST, ("224.0.0.0/4", "ff00::/8")),
    (
        AddressKind.RESERVED,
        (
            "0.0.0.0/8",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
        ),
    ),
)
_TABLE = tuple((ip_network(text), kind) for kind, texts in _KINDS for text in texts)
_GLOBAL_6 = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last four bytes are the IPv4 address of the destination."""


def parse_address(text: str) -> Address | None:
    """Parses an address without a zone; None if it is not valid.

    An IPv4-mapped IPv6 address becomes the IPv4 address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def kind_of(address: Address) -> AddressKind:
    """The kind of an address by its number."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return kind_of(address.ipv4_mapped)
        if address in _TRANSLATED:
            return kind_of(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, kind in _TABLE:
        if address.version == network.version and address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_6:
        return AddressKind.RESERVED
    return AddressKind.PUBLIC
