"""The audit log's chain of hashes: a change to any entry is detected, at that entry."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.identity.audit import (
    FIRST,
    AuditEntry,
    AuditEvent,
    AuditKeys,
    ChainCheck,
    ChainState,
    chained,
)
from danube_pkg.kit.records import replace

KEY = b"k" * 32


def chain(count: int) -> list[AuditEntry]:
    entries, before = [], FIRST
    for sequence in range(1, count + 1):
        event = AuditEvent(float(sequence), "alice", "trigger", "app", details={"path": f"/{sequence}"})
        before = chained(KEY, before, sequence, event)
        entries.append(AuditEntry(sequence, event, before))
    return entries


def check(entries: list[AuditEntry], last: int, *, pieces: int = 3) -> ChainState:
    checking = ChainCheck(AuditKeys(KEY))
    for at in range(0, len(entries), pieces):
        checking.feed(entries[at : at + pieces])
    return checking.finish(last)


@given(st.integers(0, 30), st.integers(1, 7))
def test_an_unchanged_chain_is_whole(count: int, pieces: int) -> None:
    assert check(chain(count), count, pieces=pieces) == ChainState(count)


@given(st.integers(1, 20), st.data())
def test_a_removed_entry_is_detected_at_its_place(count: int, data: st.DataObject) -> None:
    gone = data.draw(st.integers(1, count))
    entries = [entry for entry in chain(count) if entry.sequence != gone]
    assert check(entries, count).broken_at == gone


@given(
    st.integers(1, 20), st.sampled_from(["actor", "action", "target", "outcome", "address", "request_id"]), st.data()
)
def test_a_changed_entry_is_detected(count: int, name: str, data: st.DataObject) -> None:
    entries = chain(count)
    at = data.draw(st.integers(0, count - 1))
    other: dict[str, Any] = {name: "mallory"}
    changed = replace(entries[at].event, **other)
    entries[at] = replace(entries[at], event=changed)
    assert check(entries, count).broken_at == at + 1


def test_without_the_key_a_changed_chain_cannot_be_completed() -> None:
    entries = chain(5)
    forged = replace(entries[2].event, actor="mallory")
    entries[2] = AuditEntry(3, forged, chained(b"another key", entries[1].hash, 3, forged))
    assert check(entries, 5).broken_at == 3


def test_the_chain_of_earlier_versions_stays_whole() -> None:
    """If a byte of what is hashed changed, every stored audit log would seem to be forged."""
    events = [
        AuditEvent(1.5, "alice", "trigger", "app", details={"path": "/1", "name": "Zoë", "half": "\udc80"}),
        AuditEvent(2.0, "local-administrator", "drain", outcome="not-allowed", address="127.0.0.1", request_id="r1"),
    ]
    stored = [
        "fa55b96f5ce3ece0032da2cd5510d54784b19ea1dcc2d2e928b23bd11d4ffbdf",
        "39e086c0d93d1188ddc0c545a54474e0b50b368e424453e7f8eddb1efafd6fba",
    ]
    entries = [
        AuditEntry(number, event, bytes.fromhex(text))
        for number, (event, text) in enumerate(zip(events, stored, strict=True), 1)
    ]
    assert check(entries, 2) == ChainState(2)
