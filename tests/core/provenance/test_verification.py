"""Verification as a consumer does it: each thing that is wrong is refused by its own check."""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope as IndependentEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from danube_pkg.adapters.keys.signing import SigningKeys, is_signed_by
from danube_pkg.core.errors import Permanent
from danube_pkg.core.provenance.builders import builder_uri
from danube_pkg.core.provenance.envelope import (
    PAYLOAD_TYPE,
    Envelope,
    Signature,
    pre_authentication_encoding,
    read_envelopes,
)
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.statement import statement_of
from danube_pkg.core.provenance.verification import FileVerdict, verify_envelopes
from danube_pkg.kit.clock import SystemClock
from tests.core.provenance.facts import ARTIFACT, a_job, facts_of
from tests.core.provenance.flips import FLIPS, flipped

HASH = sha256(ARTIFACT).hexdigest()
ANY = Expectations()
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys.open(tmp_path / "keys", SystemClock())


async def signed(keys: SigningKeys, change: Change = lambda document: None, kind: str = PAYLOAD_TYPE) -> Envelope:
    """The example's statement, changed and then signed."""
    document = json.loads(statement_of(facts_of(a_job())))
    change(document)
    payload = json.dumps(document).encode()
    return Envelope(payload, kind, (await keys.sign(pre_authentication_encoding(kind, payload)),))


def verdict(keys: SigningKeys, *envelopes: Envelope, expected: Expectations = ANY, hash_: str = HASH) -> FileVerdict:
    return verify_envelopes(envelopes, hash_, keys.public_keys(), is_signed_by, expected)


def refused_by(found: FileVerdict) -> str:
    """The check that refused it; "" where none did."""
    return "" if found.verified else found.checks[-1].name


async def test_what_a_server_signs_is_verified(keys: SigningKeys) -> None:
    found = verdict(keys, await signed(keys))
    assert found.verified
    assert [one.name for one in found.checks] == [
        "signature",
        "subject",
        "type",
        "builder",
        "build type",
        "parameters known",
        "status",
        "code",
        "repository",
        "ref",
        "pipeline",
        "parameters",
    ]


def _external(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["predicate"]["buildDefinition"]["externalParameters"]
    return found


def _job(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["predicate"]["runDetails"]["byproducts"][0]["annotations"]
    return found


def _builder(document: dict[str, Any], uri: str) -> None:
    document["predicate"]["runDetails"]["builder"]["id"] = uri


@pytest.mark.parametrize(
    ("change", "check", "allowed"),
    [
        (lambda one: one["subject"].clear(), "subject", None),
        (lambda one: one.update(subject="text"), "subject", None),
        (lambda one: one.update(_type="https://in-toto.io/Statement/v0.1"), "type", None),
        (lambda one: one.update(predicateType="https://slsa.dev/provenance/v0.2"), "type", None),
        (lambda one: one.update(predicate=[]), "builder", None),
        (lambda one: _builder(one, "https://example.org/other"), "builder", None),
        (lambda one: _builder(one, builder_uri("local")), "builder", Expectations(builders=("local",))),
        (lambda one: one["predicate"]["buildDefinition"].update(buildType="other"), "build type", None),
        (lambda one: _external(one).update(shell="bash"), "parameters known", Expectations(allow_unknown=True)),
        (lambda one: _external(one)["trigger"].update(x=1), "parameters known", Expectations(allow_unknown=True)),
        (lambda one: _job(one).update(status="failure"), "status", Expectations(allow_failed=True)),
        (lambda one: _job(one).pop("status"), "status", Expectations(allow_failed=True)),
        (lambda one: _external(one)["trigger"].update(trusted=False), "code", Expectations(allow_untrusted=True)),
    ],
)
async def test_each_thing_that_is_wrong_is_refused(
    keys: SigningKeys, change: Change, check: str, allowed: Expectations | None
) -> None:
    envelope = await signed(keys, change)
    assert refused_by(verdict(keys, envelope)) == check
    if allowed is not None:
        assert verdict(keys, envelope, expected=allowed).verified


@pytest.mark.parametrize(
    ("fits", "fails", "check"),
    [
        (
            Expectations(repositories=("git.example.org/shop/*",)),
            Expectations(repositories=("git.example.org/shop",)),
            "repository",
        ),
        (
            Expectations(repositories=("ssh://git@git.example.org/shop/web",)),
            Expectations(repositories=("https://git.example.org.evil.org/shop/web",)),
            "repository",
        ),
        (Expectations(refs=("refs/heads/*",)), Expectations(refs=("refs/tags/*", "main")), "ref"),
        (Expectations(pipelines=("api", "web")), Expectations(pipelines=("api",)), "pipeline"),
        (Expectations(builders=("sandbox",)), Expectations(builders=("host-image",)), "builder"),
        (Expectations(parameters={"target": "production"}), Expectations(parameters={}), "parameters"),
    ],
)
async def test_expectations(keys: SigningKeys, fits: Expectations, fails: Expectations, check: str) -> None:
    envelope = await signed(keys)
    assert verdict(keys, envelope, expected=fits).verified
    assert refused_by(verdict(keys, envelope, expected=fails)) == check


async def test_another_key_another_file_and_another_type_are_refused(keys: SigningKeys, tmp_path: Path) -> None:
    envelope = await signed(keys)
    other = SigningKeys.open(tmp_path / "other", SystemClock())
    assert refused_by(verdict(other, envelope)) == "signature"
    assert refused_by(verdict(keys, Envelope(envelope.payload, envelope.payload_type, ()))) == "signature"
    assert refused_by(verdict(keys, envelope, hash_=sha256(b"another").hexdigest())) == "subject"
    assert refused_by(verdict(keys, await signed(keys, kind="text/plain"))) == "type"


async def test_the_key_id_of_an_envelope_decides_nothing(keys: SigningKeys) -> None:
    envelope = await signed(keys)
    (signature,) = envelope.signatures
    for key_id in ("", "another"):
        changed = Envelope(envelope.payload, envelope.payload_type, (Signature(key_id, signature.value),))
        assert verdict(keys, changed).verified


async def test_a_retired_key_still_verifies_and_one_of_several_envelopes_is_enough(keys: SigningKeys) -> None:
    old = await signed(keys)
    await keys.rotate()
    new = await signed(keys, lambda one: one["subject"][0].update(digest={"sha256": "0" * 64}))
    found = verdict(keys, new, old)
    assert found.verified
    assert "retired" in found.checks[0].detail


async def test_two_hundred_flipped_bits_of_payload_type_and_signature_are_refused_by_both_verifiers(
    keys: SigningKeys,
) -> None:
    """`securesystemslib` is the independent one; it accepts the envelope as it is."""
    document = (await signed(keys)).document()
    public = SSlibKey.from_crypto(load_pem_public_key(keys.current.pem.encode()), keyid=keys.current.id)
    IndependentEnvelope.from_dict(deepcopy(document)).verify([public], 1)
    rng, accepted = random.Random(17), []
    for _ in range(FLIPS):
        changed = flipped(document, rng)
        try:
            found = verdict(keys, *read_envelopes(json.dumps(changed).encode())).verified
        except Permanent:
            found = False
        if found:
            accepted.append(("danube", changed))
        try:
            IndependentEnvelope.from_dict(deepcopy(changed)).verify([public], 1)
            accepted.append(("securesystemslib", changed))
        except VerificationError:
            continue
    assert accepted == []


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"3", b"[" * 100_000, b'{"subject": [1], "predicate": 3}'])
async def test_a_signed_payload_of_any_form_is_refused_and_not_a_crash(keys: SigningKeys, payload: bytes) -> None:
    signature = await keys.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    assert not verdict(keys, Envelope(payload, PAYLOAD_TYPE, (signature,))).verified
