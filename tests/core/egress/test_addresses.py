"""The kinds of addresses, at the borders of each special range."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.egress.addresses import AddressKind, kind_of, parse_address


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8.8.8.8", AddressKind.PUBLIC),
        ("2606:4700::1111", AddressKind.PUBLIC),
        ("10.0.0.1", AddressKind.PRIVATE),
        ("172.15.255.255", AddressKind.PUBLIC),
        ("172.16.0.0", AddressKind.PRIVATE),
        ("172.31.255.255", AddressKind.PRIVATE),
        ("172.32.0.0", AddressKind.PUBLIC),
        ("192.168.255.255", AddressKind.PRIVATE),
        ("100.64.0.1", AddressKind.PRIVATE),
        ("fd12:3456::1", AddressKind.PRIVATE),
        ("127.0.0.1", AddressKind.LOOPBACK),
        ("127.255.255.254", AddressKind.LOOPBACK),
        ("::1", AddressKind.LOOPBACK),
        ("169.254.1.1", AddressKind.LINK_LOCAL),
        ("fe80::1", AddressKind.LINK_LOCAL),
        ("169.254.169.254", AddressKind.METADATA),
        ("168.63.129.16", AddressKind.METADATA),
        ("fd00:ec2::254", AddressKind.METADATA),
        ("224.0.0.251", AddressKind.MULTICAST),
        ("ff02::1", AddressKind.MULTICAST),
        ("0.0.0.0", AddressKind.RESERVED),
        ("::", AddressKind.RESERVED),
        ("255.255.255.255", AddressKind.RESERVED),
        ("198.18.0.1", AddressKind.RESERVED),
        ("2001:db8::1", AddressKind.RESERVED),
        ("2002:0a00:0001::", AddressKind.RESERVED),
        ("4000::1", AddressKind.RESERVED),
    ],
)
def test_each_range_is_exact(text: str, kind: AddressKind) -> None:
    assert kind_of(ip_address(text)) is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("::ffff:10.0.0.1", AddressKind.PRIVATE),
        ("::ffff:127.0.0.1", AddressKind.LOOPBACK),
        ("::ffff:8.8.8.8", AddressKind.PUBLIC),
        ("64:ff9b::a9fe:a9fe", AddressKind.METADATA),
        ("64:ff9b::808:808", AddressKind.PUBLIC),
    ],
)
def test_an_embedded_ipv4_address_counts(text: str, kind: AddressKind) -> None:
    assert kind_of(ip_address(text)) is kind


def test_a_mapped_ipv4_address_is_parsed_as_such_and_a_zone_is_refused() -> None:
    assert str(parse_address("::ffff:10.0.0.1")) == "10.0.0.1"
    assert parse_address("fe80::1%eth0") is None
    assert parse_address("127.1") is None
    assert parse_address("0x7f.0.0.1") is None
    assert parse_address("010.0.0.1") is None


@given(st.ip_addresses())
def test_addresses_that_the_standard_library_calls_private_are_not_public(address: object) -> None:
    """Its table is older than Danube's, but agrees on private addresses."""
    parsed = ip_address(str(address))
    if parsed.is_private and not (parsed.version == 6 and getattr(parsed, "ipv4_mapped", None)):
        assert kind_of(parsed) is not AddressKind.PUBLIC
