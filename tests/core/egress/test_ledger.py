"""The ledger's lines, their groups, and messages about refusals."""

import pytest

from danube_pkg.core.egress.denials import (
    note,
    page,
    reason_phrase,
    status_of,
)
from danube_pkg.core.egress.ledger import (
    Contact,
    Way,
    by_destination,
    encode_decision,
    encode_end,
    needed_allowlist,
    read_ledger,
    refused,
)
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.kit.records import replace

ALLOWED = Contact(1.0, "p-1", Way.CONNECT, 3, "packages.example", 443, Verdict.ALLOWED, EgressReason.LEARNED, "8.8.8.8")
REFUSED = Contact(
    2.0, "p-2", Way.CONNECT, None, "evil.example", 8443, Verdict.REFUSED, EgressReason.NOT_LISTED, allow=("evil.example:8443",)
)  # fmt: skip


def test_a_contact_survives_writing_and_reading() -> None:
    ended = replace(ALLOWED, ended_at=9.0, sent_bytes=10, received_bytes=20)
    lines = [encode_decision("j", ALLOWED), encode_decision("j", REFUSED), encode_end("j", ended)]
    assert read_ledger(lines) == [ended, REFUSED]
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)


def test_a_later_decision_replaces_an_earlier_one() -> None:
    later = replace(
        ALLOWED,
        time=5.0,
        verdict=Verdict.REFUSED,
        reason=EgressReason.SERVER_NAME_DIFFERS,
        server_name="evil.example",
    )
    contacts = read_ledger([encode_decision("j", ALLOWED), encode_decision("j", later)])
    assert contacts == [replace(later, time=1.0)]


@pytest.mark.parametrize("cut", range(1, len(encode_decision("j", ALLOWED)) - 1, 7))
def test_a_truncated_line_does_not_affect_others(cut: int) -> None:
    lines = [encode_decision("j", ALLOWED)[:cut] + b"\n", encode_decision("j", REFUSED)]
    assert read_ledger(lines) == [REFUSED]


def test_contacts_are_grouped_by_step_target_and_verdict() -> None:
    again = replace(ALLOWED, time=7.0, connection="p-3", received_bytes=5, address="9.9.9.9")
    other = replace(ALLOWED, connection="p-4", step=4)
    found = by_destination([replace(ALLOWED, received_bytes=1), REFUSED, again, other])
    assert [(one.latest.host, one.latest.step, one.contacts, one.received_bytes) for one in found] == [
        ("packages.example", 3, 2, 6), ("evil.example", None, 1, 0), ("packages.example", 4, 1, 0),
    ]  # fmt: skip
    assert (found[0].first_at, found[0].latest.time, found[0].addresses) == (1.0, 7.0, ("8.8.8.8", "9.9.9.9"))


def test_the_needed_allowlist_has_names_then_addresses_without_refused_ones() -> None:
    private = replace(ALLOWED, connection="p-5", host="db.corp", port=5432, address="10.1.2.3")
    literal = replace(ALLOWED, connection="p-6", host="9.9.9.9", port=443, address="9.9.9.9")
    plain = replace(ALLOWED, connection="p-7", port=80)
    assert needed_allowlist([ALLOWED, REFUSED, private, literal, plain]) == [
        "db.corp:5432", "packages.example", "10.1.2.3:5432", "9.9.9.9",
    ]  # fmt: skip
    assert refused([ALLOWED, REFUSED]) == [REFUSED]


def test_each_message_of_a_refusal_has_the_yaml_entry() -> None:
    assert status_of(REFUSED) == 403
    for text in (reason_phrase(REFUSED), page(REFUSED), note(REFUSED)):
        assert "evil.example:8443" in text
        assert "egress_allowlist" in text
    assert "  egress_allowlist:\n    - evil.example:8443\n" in page(REFUSED)
    assert "\n" not in note(REFUSED) + reason_phrase(REFUSED)


@pytest.mark.parametrize("reason", list(EgressReason))
def test_each_reason_has_a_description(reason: EgressReason) -> None:
    contact = replace(REFUSED, reason=reason, address="10.0.0.1", server_name="other.example", attempts=3)
    assert len(contact.describe()) > 10
    assert "{" not in contact.describe()
    assert reason_phrase(contact).isascii()
    assert status_of(contact) >= 400
