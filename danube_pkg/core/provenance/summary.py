"""What a verifier states about files that it has verified: a verification summary (VSA) for those who trust it.

Source: https://slsa.dev/spec/v1.2/verification_summary, an in-toto Statement v1 with one predicate.
"""

import base64
import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from danube_pkg.core.provenance.builders import HOST_IMAGE_KIND, OPEN_NETWORK, RELEASE, builder_uri
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.statement import STATEMENT_TYPE, rfc3339
from danube_pkg.core.provenance.verification import FileVerdict
from danube_pkg.kit.digests import Digest
from danube_pkg.kit.records import Record, to_builtins

SUMMARY_TYPE = "https://slsa.dev/verification_summary/v1"
SLSA_VERSION = "1.2"
POLICY_URI = "urn:danube:policy:v1"
"""The policy's content stands in the summary: what `Expectations` has, as JSON with sorted keys."""

_NO_LEVEL = "SLSA_BUILD_LEVEL_0"
_FAILED = "FAILED"
_LEVELS = {
    builder_uri("sandbox"): 3,
    builder_uri(HOST_IMAGE_KIND): 3,
    builder_uri(OPEN_NETWORK): 2,
    builder_uri(RELEASE): 1,
}
"""What each builder claims, on its page in docs/builders; the others claim nothing."""


class VerifiedFile(Record):
    """A file or image by its name and the SHA-256 of its content."""

    name: str
    sha256: str
    verdict: FileVerdict


class Summary(Record):
    """verifier: the URI of who verifies. resource: the URI under which the files are fetched. attestation: the name
    and the content of the provenance. at: Unix seconds. version: Danube's."""

    verifier: str
    resource: str
    files: Sequence[VerifiedFile]
    expected: Expectations
    attestation: tuple[str, Digest]
    at: float
    version: str


def statement_of_summary(summary: Summary) -> bytes:
    """The statement as JSON with sorted keys. It has passed if every file has."""
    passed = all(one.verdict.verified for one in summary.files)
    name, digest = summary.attestation
    predicate = {
        "verifier": {"id": summary.verifier, "version": {"danube": summary.version}},
        "timeVerified": rfc3339(summary.at),
        "resourceUri": summary.resource,
        "policy": _policy(summary.expected),
        "inputAttestations": [{"uri": name, "digest": {"sha256": digest.sha256}}],
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": [_level(summary.files) if passed else _FAILED],
        "slsaVersion": SLSA_VERSION,
    }
    subjects = [{"name": one.name, "digest": {"sha256": one.sha256}} for one in summary.files]
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": SUMMARY_TYPE,
        "predicate": predicate,
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def _policy(expected: Expectations) -> dict[str, Any]:
    content = json.dumps(to_builtins(expected), sort_keys=True, separators=(",", ":")).encode()
    return {
        "uri": POLICY_URI,
        "digest": {"sha256": sha256(content).hexdigest()},
        "mediaType": "application/json",
        "content": base64.b64encode(content).decode(),
    }


def _level(files: Sequence[VerifiedFile]) -> str:
    """The lowest of the files: one statement is about all of them."""
    lowest = min(_LEVELS.get(one.verdict.builder, 0) for one in files)
    return f"SLSA_BUILD_LEVEL_{lowest}" if lowest else _NO_LEVEL
