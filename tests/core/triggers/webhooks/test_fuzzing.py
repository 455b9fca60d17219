"""Bytes of any content become an event, which may be an unreadable one: recorded deliveries with random damage."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danube_pkg.core.errors import Unauthenticated
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.inbox import (
    describe_event,
    event_from_json,
    event_to_json,
    lane_of,
)
from danube_pkg.core.triggers.matching import PipelineIndex
from danube_pkg.core.triggers.webhooks.deliveries import forge_of, parse_delivery
from danube_pkg.core.triggers.webhooks.events import (
    PullRequest,
    Push,
    TagPush,
    UnreadableEvent,
    WebhookEvent,
)
from danube_pkg.core.triggers.webhooks.signatures import check_signature
from tests.core.triggers.webhooks.recorded import SECRET, Recorded, recorded
from tests.support.examples import examples

EXAMPLES = examples(400)
"""Takes some seconds."""

EXAMPLES_OF_EACH = examples(10)
"""Examples of each recorded delivery in a run: over a few runs every field is damaged once."""


def event_in(each: Recorded, body: bytes) -> WebhookEvent:
    """The event; every error fails the test, since a signed delivery is never lost."""
    return parse_delivery(each.forge, each.headers, body).event


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "0" * 40, "refs/heads/", "refs/tags/", "\x00", "\ud800", "../..", "x" * 5000, [], {}, [[]], -1]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        found += paths(one, (*path, key))
    return found


@st.composite
def damaged(draw: st.DrawFn, each: Recorded) -> bytes:
    """A recorded delivery with up to three values replaced or removed, or with bytes changed and cut off."""
    if draw(st.booleans()):
        body = bytearray(each.body)
        for at in draw(st.lists(st.integers(0, len(body) - 1), max_size=5)):
            body[at] = draw(st.integers(0, 255))
        return bytes(body[: draw(st.integers(0, len(body)))])
    document = copy.deepcopy(each.document)
    for _ in range(draw(st.integers(1, 3))):
        known = paths(document)
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        target: Any = document
        for key in way:
            target = target[key]
        if draw(st.booleans()):
            target[last] = draw(odd)
        else:
            del target[last]
    return json.dumps(document).encode()


@pytest.mark.parametrize("each", recorded(), ids=str)
@settings(max_examples=EXAMPLES_OF_EACH, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_delivery_is_an_event(each: Recorded, data: st.DataObject) -> None:
    delivery = parse_delivery(each.forge, each.headers, data.draw(damaged(each)))
    found = delivery.event
    assert isinstance(found, UnreadableEvent) is (delivery.refused is not None)
    if delivery.refused is not None:
        assert delivery.refused.reference == "hook-not-understood"
        assert delivery.refused.hint
    assert isinstance(found, WebhookEvent)
    assert event_from_json(event_to_json(found)) == found, "it can be stored and read again"
    assert isinstance(lane_of(found), str)
    assert "\n" not in describe_event(found)
    if isinstance(found, Push | TagPush | PullRequest):
        assert PipelineIndex([]).of_repository(found.repository) == []


header_names = st.sampled_from(sorted({name for each in recorded() for name in each.signed()} | {"webhook-signature"}))
header_values = st.text(st.characters(max_codepoint=255), max_size=80)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(header_names, header_values, max_size=8), st.binary(max_size=200), st.sampled_from(list(Forge)))
def test_random_headers_are_never_accepted(headers: dict[str, str], body: bytes, forge: Forge) -> None:
    forge_of(headers)
    try:
        check_signature(forge, headers, body, [SECRET, b"whsec_MDEyMzQ1Njc4OWFiY2RlZg=="], 1e9)
    except Unauthenticated:
        return
    raise AssertionError("a signature was guessed")


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=300), st.sampled_from(list(Forge)))
def test_bytes_that_are_not_json_are_an_event(body: bytes, forge: Forge) -> None:
    each = next(each for each in recorded() if each.forge is forge and each.name in ("push", "push-4"))
    assert isinstance(event_in(each, body), WebhookEvent)
