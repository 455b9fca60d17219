"""Rebuilds: whether a second build of the same commit gives the same bytes, and what is stated where it does.

SBOMs are not compared: most have a serial number and the time in them. They describe what is.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.images.pushed import PushedImage
from danube_pkg.core.provenance.builders import BASE
from danube_pkg.core.provenance.statement import STATEMENT_TYPE
from danube_pkg.kit.records import Record

REBUILD_TYPE = f"{BASE}/attestations/rebuild/v1"


class ComparedOutput(Record):
    """An artifact or image of both jobs. sha256, rebuilt_sha256: "" where the job did not make it."""

    name: str
    sha256: str
    rebuilt_sha256: str

    @property
    def is_same(self) -> bool:
        return self.sha256 == self.rebuilt_sha256


class BuiltOutputs(Record):
    """What a job has built."""

    artifacts: Sequence[Artifact]
    images: Sequence[PushedImage]

    @property
    def digests(self) -> Mapping[str, str]:
        """The SHA-256 of each artifact and image, by the name that provenance has for it."""
        found = {one.file_name: one.sha256 for one in self.artifacts if not one.describes}
        return found | {one.name: one.digest.partition(":")[2] for one in self.images}


def compared(original: BuiltOutputs, rebuilt: BuiltOutputs) -> tuple[ComparedOutput, ...]:
    """All that either job has built, by name."""
    one, other = original.digests, rebuilt.digests
    return tuple(
        ComparedOutput(name, one.get(name, ""), other.get(name, "")) for name in sorted(one.keys() | other.keys())
    )


def is_match(outputs: Sequence[ComparedOutput]) -> bool:
    """Whether both have built the same, and something at all."""
    return bool(outputs) and all(one.is_same for one in outputs)


def rebuild_statement(
    original: str, rebuild: str, builder: str, provenance: bytes, same: Sequence[ComparedOutput]
) -> bytes:
    """What is stated about outputs that both jobs have built alike: an in-toto Statement v1 as JSON with sorted keys.

    original, rebuild: the jobs' ids. builder: the URI of the rebuild's builder. provenance: the original's envelopes.
    """
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": one.name, "digest": {"sha256": one.sha256}} for one in same],
        "predicateType": REBUILD_TYPE,
        "predicate": {
            "original": {"job": original, "provenance": {"sha256": sha256(provenance).hexdigest()}},
            "rebuild": {"job": rebuild, "builder": {"id": builder}},
            "result": "MATCH",
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
