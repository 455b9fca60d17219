"""A list that names an index and not the host of its files: the refusal and `danube validate` name both (O-17)."""

from danube_pkg.core.configuration.egress_notes import services_without_files
from danube_pkg.core.egress.companions import COMPANIONS, DOWNLOADS
from danube_pkg.core.egress.denials import note
from danube_pkg.core.egress.ledger import Contact, Way
from danube_pkg.core.egress.policy import EgressReason, Policy, Verdict, parse_entry, parse_target
from tests.core.configuration.test_configuration import state_of

PIPELINES = """
{apiVersion: danube.dev/v1, kind: Config, metadata: {name: global}, spec: {egress_allowlist: [files.pythonhosted.org]}}
---
{apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: app}, spec: {repository: /srv/app, egress_allowlist: [
    pypi.org, proxy.golang.org, github.com]}}
---
{apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: web}, spec: {repository: /srv/web, egress_allowlist: [
    proxy.golang.org, "*.golang.org"]}}
"""


def allow(entries: list[str], target: str) -> tuple[str, ...]:
    return Policy(entries).decide_target(parse_target(target)).allow


def test_a_refusal_names_what_the_service_needs_too_and_is_not_listed() -> None:
    assert allow([], "pypi.org:443") == ("pypi.org", "files.pythonhosted.org")
    assert allow(["*.pythonhosted.org"], "pypi.org:443") == ("pypi.org",)
    assert allow(["pypi.org"], "files.pythonhosted.org:443") == ("files.pythonhosted.org",)
    assert allow([], "github.com:443") == ("github.com",)  # Git needs no other host
    assert allow(["pypi.org"], "pypi.org:8443") == ("pypi.org:8443",)


def test_with_what_a_refusal_names_the_service_and_its_files_are_allowed() -> None:
    for service, files in COMPANIONS.items():
        policy = Policy(allow([], f"{service}:443"))
        for host in (service, *files):
            assert policy.decide_target(parse_target(f"{host}:443")).verdict is Verdict.ALLOWED


def test_the_line_in_the_log_names_the_service_whose_files_a_host_has() -> None:
    refused = Contact(0.0, "c1", Way.CONNECT, 1, "codeload.github.com", 443, Verdict.REFUSED, EgressReason.NOT_LISTED)
    assert "; github.com has its files there" in note(refused)


def test_validate_names_each_service_without_its_files_once() -> None:
    """The list of config.yaml is for all pipelines; a pattern counts."""
    (sentence,) = services_without_files(state_of(PIPELINES))
    assert sentence.startswith("egress_allowlist of pipeline app has proxy.golang.org")
    assert sentence.endswith("add sum.golang.org")


def test_every_name_of_the_tables_can_be_an_entry() -> None:
    for table in (COMPANIONS, DOWNLOADS):
        for host in (*table, *(one for hosts in table.values() for one in hosts)):
            assert ".".join(parse_entry(host).labels) == host
