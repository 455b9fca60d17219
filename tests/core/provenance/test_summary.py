"""A verifier's summary: its result, the level that the builder claims, and what was expected."""

import base64
import json
from typing import Any

from danube_pkg.core.provenance.builders import KINDS, builder_uri
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.summary import Summary, VerifiedFile, statement_of_summary
from danube_pkg.core.provenance.verification import FileVerdict, Verification
from danube_pkg.kit.digests import digest_of

PROVENANCE = b"an envelope\n"


def a_file(kind: str, *, passed: bool = True) -> VerifiedFile:
    checks = (Verification("signature", passed, "by a key"),)
    return VerifiedFile(f"{kind}.tar", "a" * 64, FileVerdict(checks, builder_uri(kind) if passed else ""))


def summarised(*files: VerifiedFile, expected: Expectations | None = None) -> dict[str, Any]:
    summary = Summary(
        verifier="https://verifier.example.org",
        resource="https://files.example.org/web.tar",
        files=files,
        expected=expected or Expectations(),
        attestation=("job.intoto.jsonl", digest_of(PROVENANCE)),
        at=1_800_000_000.0,
        version="1",
    )
    found: dict[str, Any] = json.loads(statement_of_summary(summary))
    return found


def test_a_summary_names_verifier_files_and_attestation() -> None:
    found = summarised(a_file("sandbox"))
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert found["subject"] == [{"name": "sandbox.tar", "digest": {"sha256": "a" * 64}}]
    predicate = found["predicate"]
    assert predicate["verifier"] == {"id": "https://verifier.example.org", "version": {"danube": "1"}}
    assert predicate["resourceUri"] == "https://files.example.org/web.tar"
    assert predicate["timeVerified"] == "2027-01-15T08:00:00.000Z"
    attested = {"uri": "job.intoto.jsonl", "digest": {"sha256": digest_of(PROVENANCE).sha256}}
    assert predicate["inputAttestations"] == [attested]


def test_the_level_is_what_the_builder_claims_and_of_several_files_the_lowest() -> None:
    levels = {kind: summarised(a_file(kind))["predicate"]["verifiedLevels"] for kind in KINDS}
    assert levels == {
        "sandbox": ["SLSA_BUILD_LEVEL_3"],
        "host-image": ["SLSA_BUILD_LEVEL_3"],
        "open-network": ["SLSA_BUILD_LEVEL_2"],
        "local": ["SLSA_BUILD_LEVEL_0"],
        "kubernetes": ["SLSA_BUILD_LEVEL_0"],
        "release": ["SLSA_BUILD_LEVEL_1"],
    }
    both = summarised(a_file("sandbox"), a_file("open-network"))["predicate"]
    assert both["verifiedLevels"] == ["SLSA_BUILD_LEVEL_2"]


def test_one_refused_file_fails_the_summary() -> None:
    found = summarised(a_file("sandbox"), a_file("sandbox", passed=False))["predicate"]
    assert (found["verificationResult"], found["verifiedLevels"]) == ("FAILED", ["FAILED"])


def test_the_policy_is_what_was_expected() -> None:
    expected = Expectations(repositories=("https://git.example.org/web",), refs=("refs/tags/v*",))
    policy = summarised(a_file("sandbox"), expected=expected)["predicate"]["policy"]
    content = base64.b64decode(policy["content"])
    assert policy["digest"]["sha256"] == digest_of(content).sha256
    assert json.loads(content)["refs"] == ["refs/tags/v*"]
