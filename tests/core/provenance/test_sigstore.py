"""Sigstore bundles, verified by Sigstore's own library and, where it is installed, by cosign."""

import asyncio
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from build_steps.web import find_node, find_npm
from danube_pkg.adapters.keys.signing import SigningKeys
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, pre_authentication_encoding
from danube_pkg.core.provenance.statement import statement_of
from danube_pkg.kit.clock import SystemClock
from tests.core.provenance.facts import ARTIFACT, a_job, facts_of
from tests.core.provenance.flips import FLIPS, flipped

LIBRARY = Path(__file__).parent / "sigstore"
COSIGN = os.environ.get("DANUBE_TEST_COSIGN", "")
"""The path of a cosign program, which no registry of this project's dependencies has."""


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys.open(tmp_path / "keys", SystemClock())


def bundle_of(keys: SigningKeys) -> dict[str, Any]:
    payload = statement_of(facts_of(a_job()))
    signature = asyncio.run(keys.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload)))
    return Envelope(payload, PAYLOAD_TYPE, (signature,)).bundle()


def with_flip(bundle: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The bundle with one bit of payload, type or signature changed."""
    return {**bundle, "dsseEnvelope": flipped(bundle["dsseEnvelope"], rng)}


@pytest.mark.long
def test_sigstore_accepts_a_bundle_and_refuses_two_hundred_flipped_bits(keys: SigningKeys, tmp_path: Path) -> None:
    library = tmp_path / "library"
    shutil.copytree(LIBRARY, library, ignore=shutil.ignore_patterns("node_modules"))
    install = [*find_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    subprocess.run(install, cwd=library, check=True, timeout=300)
    bundle, rng = bundle_of(keys), random.Random(17)
    other = SigningKeys.open(tmp_path / "other", SystemClock())

    def verified(key: str, *bundles: dict[str, Any]) -> list[bool]:
        given = json.dumps({"key": key, "bundles": bundles}).encode()
        done = subprocess.run(
            [find_node(), "verify.mjs"], cwd=library, input=given, capture_output=True, check=True, timeout=300
        )
        found: list[bool] = json.loads(done.stdout)
        return found

    pem = keys.current.pem
    assert verified(pem, bundle, *(with_flip(bundle, rng) for _ in range(FLIPS))) == [True] + [False] * FLIPS
    assert verified(other.current.pem, bundle) == [False]


@pytest.mark.long
@pytest.mark.parametrize("cosign", [COSIGN] if COSIGN else [])
def test_cosign_accepts_a_bundle_for_its_artifact_and_refuses_two_hundred_flipped_bits(
    keys: SigningKeys, tmp_path: Path, cosign: str
) -> None:
    bundle, rng = bundle_of(keys), random.Random(17)
    (tmp_path / "key.pem").write_text(keys.current.pem)
    (tmp_path / "artifact").write_bytes(ARTIFACT)

    def accepts(given: dict[str, Any], artifact: str = "artifact") -> bool:
        (tmp_path / "bundle.json").write_text(json.dumps(given))
        words = [cosign, "verify-blob-attestation", "--key", "key.pem", "--bundle", "bundle.json"]
        words += ["--type", "slsaprovenance1", "--insecure-ignore-tlog", artifact]
        return subprocess.run(words, cwd=tmp_path, check=False, capture_output=True, timeout=60).returncode == 0

    assert accepts(bundle)
    assert [accepts(with_flip(bundle, rng)) for _ in range(FLIPS)] == [False] * FLIPS
    (tmp_path / "another").write_bytes(b"another")
    assert not accepts(bundle, "another")
