"""The policies of a cluster's network: what they select and allow."""

import json

import pytest

from danube_pkg.core.egress.network_policies import (
    NetworkTarget,
    deny_all_policy,
    job_policy,
    proxy_cilium_policy,
    target_at,
)
from danube_pkg.core.errors import Invalid

TARGETS = (
    target_at("10.1.2.3:31280"),
    target_at("[fd00::5]:9090"),
    NetworkTarget(5000, namespace="danube-system", pod_labels={"app.kubernetes.io/name": "registry"}),
)


def test_a_jobs_pod_reaches_its_targets_and_nothing_else() -> None:
    policy = job_policy("job-a", "danube-jobs", {"danube.dev/job": "a"}, {"danube.dev/pod": "p"}, TARGETS)
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {"danube.dev/pod": "p"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [
            {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 31280}]},
            {"to": [{"ipBlock": {"cidr": "fd00::5/128"}}], "ports": [{"protocol": "TCP", "port": 9090}]},
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "danube-system"}},
                        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "registry"}},
                    }
                ],
                "ports": [{"protocol": "TCP", "port": 5000}],
            },
        ],
    }
    assert "53" not in json.dumps(policy).replace("5000", "").replace("31280", "")


def test_a_namespace_denies_what_no_policy_allows() -> None:
    spec = deny_all_policy("deny-all", "danube-jobs")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}


def test_a_name_is_refused_as_a_target() -> None:
    with pytest.raises(Invalid, match="cannot be allowed") as raised:
        job_policy("p", "n", {}, {"a": "b"}, [target_at("danube.example.org:9090")])
    assert "advertise_address" in raised.value.hint


def test_ciliums_policy_has_the_names_of_the_list_for_dns_and_for_connections() -> None:
    listed = ["github.com", "*.example.org:8443", "**.files.test", "10.0.0.0/8:5432", "[2001:db8::5]"]
    policy = proxy_cilium_policy("egress", "danube-system", {"app.kubernetes.io/name": "danube"}, listed)
    dns, *rest = policy["spec"]["egress"]
    assert dns["toPorts"][0]["rules"]["dns"] == [
        {"matchName": "github.com"}, {"matchPattern": "*.example.org"}, {"matchPattern": "**.files.test"},
    ]  # fmt: skip
    found = [
        (rule.get("toFQDNs") or rule.get("toCIDR"), [one["port"] for one in rule["toPorts"][0]["ports"]])
        for rule in rest
    ]
    assert found == [
        ([{"matchName": "github.com"}], ["443", "80"]),
        ([{"matchPattern": "*.example.org"}], ["8443"]),
        ([{"matchPattern": "**.files.test"}], ["443", "80"]),
        (["10.0.0.0/8"], ["5432"]),
        (["2001:db8::5/128"], ["443", "80"]),
    ]


def test_ciliums_policy_of_an_empty_list_denies_everything() -> None:
    spec = proxy_cilium_policy("egress", "danube-system", {"a": "b"}, [])["spec"]
    assert spec == {"endpointSelector": {"matchLabels": {"a": "b"}}, "egress": [{}]}
