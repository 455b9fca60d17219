"""The end of a run: what it reached, what was refused with its reason, and no sentence that contradicts them."""

import pytest

from danube_pkg.cli.egress_output import MAX_REFUSED, print_learned
from danube_pkg.core.egress.ledger import Contact, Way, by_destination, needed_allowlist
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.services.egress import EgressReport


def printed(capsys: pytest.CaptureFixture[str], network: Network, *contacts: Contact, succeeded: bool = True) -> str:
    report = EgressReport(contacts, by_destination(contacts), needed_allowlist(contacts))
    print_learned(report, network, succeeded=succeeded)
    return capsys.readouterr().err


def refused(host: str, *allow: str, reason: EgressReason = EgressReason.RESERVED_ADDRESS) -> Contact:
    return Contact(1.0, host, Way.CONNECT, 1, host, 443, Verdict.REFUSED, reason, "203.0.113.80", "", allow)


def test_a_refusal_while_learning_is_named_with_its_entries(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, Network.LEARN, refused("mirror.test", "mirror.test", "203.0.113.80"))
    assert "mirror.test:443 (reserved-address)" in text
    assert "egress_allowlist: [mirror.test, 203.0.113.80]" in text
    assert "0 reached, 1 refused" in text
    assert "needs no egress_allowlist" not in text


def test_a_name_that_was_looked_up_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, Network.LEARN, refused("pypi.test", reason=EgressReason.DNS))
    assert "a program looked up pypi.test by DNS" in text


def test_an_enforced_list_is_completed_by_what_was_refused(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, Network.ALLOWLIST, refused("a.test", "a.test", reason=EgressReason.NOT_LISTED))
    assert "the allowlist that this run needs:\n\negress_allowlist:\n  - a.test" in text


def test_many_refusals_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, Network.LEARN, *(refused(f"m{number}.test") for number in range(MAX_REFUSED + 5)))
    assert text.count("reserved-address") == MAX_REFUSED
    assert "5 more destinations" in text


def unreached(host: str) -> Contact:
    return Contact(1.0, host, Way.CONNECT, 1, host, 443, Verdict.FAILED, EgressReason.NO_ADDRESS, "", "", ())


def test_a_run_that_failed_for_its_egress_is_not_said_to_need_none(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, Network.LEARN, unreached("pypi.test"), succeeded=False)
    assert "egress not reached: pypi.test:443 has no address" in text
    assert "0 reached, 1 not reached; the allowlist that this run needed until it failed" in text
    assert "  - pypi.test" in text
    dns = printed(capsys, Network.LEARN, refused("pypi.test", reason=EgressReason.DNS), succeeded=False)
    assert "0 reached, 1 refused\n" in dns
    assert "needs no" not in text + dns
