"""Allowlists: their syntax, the decisions, and the messages of refusals."""

from ipaddress import ip_address

import pytest
import yaml

from danube_pkg.core.egress.addresses import parse_address
from danube_pkg.core.egress.policy import (
    EgressReason,
    EgressTarget,
    Policy,
    Verdict,
    address_of_step,
    entry_for,
    parse_entry,
    parse_target,
    proxy_environment,
    step_of_address,
    with_registries,
    yaml_lines,
)
from danube_pkg.core.errors import Invalid


def reason(policy: Policy, target: str) -> EgressReason:
    return policy.decide_target(parse_target(target)).reason


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        ("github.com", ["github.com:443", "github.com:80", "GitHub.COM.:443"], ["api.github.com:443", "github.com:22"]),
        ("*.example.org", ["a.example.org:443"], ["example.org:443", "a.b.example.org:443", "aexample.org:443"]),
        ("**.example.org", ["a.example.org:443", "a.b.example.org:80"], ["example.org:443", "badexample.org:443"]),
        ("*", ["anything.at.all:443", "localhost:80"], ["anything.at.all:22"]),
        ("registry:5000", ["registry:5000"], ["registry:443"]),
        ("10.0.0.0/8", ["10.1.2.3:443"], ["11.1.2.3:443", "10.1.2.3:5432"]),
        ("10.1.2.3:5432", ["10.1.2.3:5432"], ["10.1.2.3:443", "10.1.2.4:5432"]),
        ("[fd00::5]:5432", ["[fd00::5]:5432"], ["[fd00::6]:5432"]),
        ("[fd00::/16]:5432", ["[fd00::1:2]:5432"], ["[fd01::1]:5432"]),
        ("fd00::5", ["[fd00::5]:443"], ["[fd00::5]:22"]),
        ("10.0.0.1", ["[::ffff:10.0.0.1]:443"], ["[::ffff:10.0.0.2]:443"]),
    ],
)
def test_an_entry_allows_only_its_targets(entry: str, allowed: list[str], refused: list[str]) -> None:
    policy = Policy([entry])
    for target in allowed:
        assert policy.decide_target(parse_target(target)).verdict is Verdict.ALLOWED, target
    for target in refused:
        assert policy.decide_target(parse_target(target)).verdict is Verdict.REFUSED, target


def test_a_listed_registry_means_its_port_and_its_address() -> None:
    """As the specification writes it: `egress_allowlist: [registry.danube-system]` reaches the registry at :5000."""
    registries = [("registry.danube-system", 5000), ("10.0.0.9", 5000), ("other.test", 5000)]
    policy = Policy(with_registries(["registry.danube-system", "10.0.0.9", "*.test"], registries))
    target, inside = parse_target("registry.danube-system:5000"), parse_address("10.43.0.9")
    assert inside is not None
    assert policy.decide_target(target).verdict is Verdict.ALLOWED
    assert policy.decide_address(target, inside).verdict is Verdict.ALLOWED
    assert policy.decide_target(parse_target("10.0.0.9:5000")).verdict is Verdict.ALLOWED
    for refused in ("registry.danube-system:22", "10.43.0.9:5000", "10.0.0.9:22", "other.test:5000"):
        assert policy.decide_target(parse_target(refused)).verdict is Verdict.REFUSED, refused
    other_port = parse_target("registry.danube-system:443")
    assert policy.decide_address(other_port, inside).reason is EgressReason.PRIVATE_ADDRESS


def test_a_registry_that_is_listed_with_another_port_is_not_meant() -> None:
    registries = [("registry.test", 5000)]
    assert with_registries(["registry.test:443"], registries) == ("registry.test:443",)
    assert with_registries(["**.test", "*"], registries) == ("**.test", "*")
    with pytest.raises(Invalid):
        parse_entry("registry://registry.test:5000")


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("https://github.com/myorg", "use only the host: github.com"),
        ("a.*.example.org", "*.example.org"),
        ("*example.org", "*.example.org"),
        ("exa mple.org", "for example"),
        ("", "for example"),
        ("example.org:99999", "1 to 65535"),
        ("10.0.0.0/33", "10.0.0.0/8"),
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("300.1.2.3", "four numbers"),
        ("-a.example.org", "for example"),
        ("a..b", "for example"),
        ("*.*.example.org", "*.example.org"),
        ("[fd00::1", "for example"),
        ("a" * 64 + ".org", "for example"),
    ],
)
def test_an_invalid_entry_is_refused_with_a_suggestion(entry: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_entry(entry)
    assert caught.value.reference == "egress-entry-invalid"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "nothing", "host:0", "host:65536", ":443", "a b:443", "2130706433:80", "0x7f000001:80", "127.1:80", "1.2.3.4.5:80",
        "host:44x", "[::1:80", "[fe80::1%lo]:80", "ho\r\nst:80", "a" * 300 + ":80", "é.example:443", "*:443",
    ],
)  # fmt: skip
def test_an_ambiguous_target_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        parse_target(text)


def test_each_refusal_has_the_entry_that_would_allow_it() -> None:
    policy = Policy(["github.com", "10.0.0.1:5432"])
    assert policy.decide_target(parse_target("packages.example:443")).allow == ("packages.example",)
    assert policy.decide_target(parse_target("github.com:22")).allow == ("github.com:22",)
    assert policy.decide_target(parse_target("10.0.0.1:443")).allow == ("10.0.0.1",)
    assert reason(policy, "packages.example:443") is EgressReason.NOT_LISTED
    assert reason(policy, "github.com:22") is EgressReason.PORT_NOT_LISTED
    assert reason(policy, "10.0.0.1:443") is EgressReason.PRIVATE_ADDRESS
    assert reason(policy, "9.9.9.9:443") is EgressReason.ADDRESS_NOT_LISTED


@pytest.mark.parametrize(
    ("address", "own", "expected"),
    [
        ("8.8.8.8", False, EgressReason.LISTED),
        ("8.8.8.8", True, EgressReason.OWN_ADDRESS),
        ("10.2.0.1", False, EgressReason.PRIVATE_ADDRESS),
        ("10.2.0.1", True, EgressReason.OWN_ADDRESS),
        ("127.0.0.1", True, EgressReason.LOOPBACK_ADDRESS),
        ("169.254.169.254", False, EgressReason.METADATA_ADDRESS),
        ("fe80::1", False, EgressReason.LINK_LOCAL_ADDRESS),
        ("224.0.0.1", False, EgressReason.MULTICAST_ADDRESS),
        ("0.0.0.0", False, EgressReason.RESERVED_ADDRESS),
        ("10.1.0.5", False, EgressReason.LISTED),
    ],
)
def test_a_listed_name_must_not_lead_to_an_unlisted_private_address(
    address: str, own: bool, expected: EgressReason
) -> None:
    policy = Policy(["files.example.org", "10.1.0.0/16"])
    decision = policy.decide_address(EgressTarget("files.example.org", 443), ip_address(address), own=own)
    assert decision.reason is expected
    assert (decision.verdict is Verdict.ALLOWED) is (expected is EgressReason.LISTED)
    assert decision.allow == (() if decision.verdict is Verdict.ALLOWED else (address,))


def test_a_refusal_while_learning_names_the_host_and_the_address() -> None:
    target, address = EgressTarget("mirror.test", 8443), ip_address("203.0.113.80")
    assert Policy([], learn=True).decide_address(target, address).allow == ("mirror.test:8443", "203.0.113.80:8443")
    both = Policy(["mirror.test:8443", "203.0.113.80:8443"])
    assert both.decide_target(target).verdict is Verdict.ALLOWED
    assert both.decide_address(target, address).verdict is Verdict.ALLOWED


def test_learning_allows_everything_but_this_machine() -> None:
    policy = Policy([], learn=True)
    assert policy.decide_target(parse_target("packages.example:443")).reason is EgressReason.LEARNED
    for address, verdict in {
        "8.8.8.8": Verdict.ALLOWED,
        "10.0.0.1": Verdict.ALLOWED,
        "127.0.0.1": Verdict.REFUSED,
        "169.254.169.254": Verdict.REFUSED,
        "fe80::1": Verdict.REFUSED,
    }.items():
        assert policy.decide_address(EgressTarget("a.example", 443), ip_address(address)).verdict is verdict
    assert (
        policy.decide_address(EgressTarget("a.example", 443), ip_address("10.0.0.1"), own=True).verdict
        is Verdict.REFUSED
    )
    listed = Policy(["127.0.0.1:5432"], learn=True)
    assert listed.decide_target(parse_target("127.0.0.1:5432")).reason is EgressReason.LISTED


@pytest.mark.parametrize(
    ("target", "server_name", "expected"),
    [
        ("github.com:443", "github.com", EgressReason.LISTED),
        ("github.com:443", "GitHub.com.", EgressReason.LISTED),
        ("github.com:443", "evil.example", EgressReason.SERVER_NAME_DIFFERS),
        ("github.com:443", "other.example.org", EgressReason.SERVER_NAME_DIFFERS),
        ("github.com:443", None, EgressReason.SERVER_NAME_MISSING),
        ("10.1.2.3:443", None, EgressReason.LISTED),
        ("10.1.2.3:443", "other.example.org", EgressReason.LISTED),
        ("10.1.2.3:443", "evil.example", EgressReason.SERVER_NAME_DIFFERS),
    ],
)
def test_the_name_in_the_handshake_must_be_the_requested_one(
    target: str, server_name: str | None, expected: EgressReason
) -> None:
    policy = Policy(["github.com", "10.1.2.3", "other.example.org"])
    assert policy.decide_server_name(parse_target(target), server_name).reason is expected


def test_the_yaml_lines_can_be_pasted() -> None:
    entries = ["github.com", "*.example.org", "10.0.0.0/8:5432", "[fd00::5]:80", "::1", "a:22"]
    assert yaml.safe_load(yaml_lines(entries)) == {"egress_allowlist": entries}
    assert [entry_for("a.example", 443), entry_for("a.example", 22), entry_for("fd00::5", 22)] == [
        "a.example", "a.example:22", "[fd00::5]:22",
    ]  # fmt: skip


def test_each_step_has_its_own_address() -> None:
    for step in (0, 1, 255, 256, 0xFFFF):
        assert step_of_address(address_of_step(step)) == step
    assert step_of_address(address_of_step(None)) is None
    assert step_of_address(address_of_step(0x10000)) is None
    assert proxy_environment(258)["https_proxy"] == "http://127.1.1.2:31280"
    assert "127.0.0.1" in proxy_environment(1)["NO_PROXY"]
    assert "-Dhttps.proxyHost=127.1.1.2 -Dhttps.proxyPort=31280" in proxy_environment(258)["JAVA_TOOL_OPTIONS"]
