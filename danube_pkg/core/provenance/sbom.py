"""Software bills of materials (SBOMs) that a job attaches to what it has built, and what the server states with them.

CycloneDX JSON (https://cyclonedx.org/specification/overview) and SPDX 2 JSON (https://spdx.github.io/spdx-spec/v2.3).
The statement is an in-toto Statement v1 about the same subject; its predicate is the document
(https://github.com/in-toto/attestation, spec/predicates/cyclonedx.md and spdx2.md). The predicate types are those
without a version, which cosign writes and expects.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from danube_pkg.core.errors import Invalid
from danube_pkg.core.provenance.statement import STATEMENT_TYPE
from danube_pkg.kit.records import Record

CYCLONEDX_TYPE = "https://cyclonedx.org/bom"
SPDX_TYPE = "https://spdx.dev/Document"
SBOM_TYPES = frozenset({CYCLONEDX_TYPE, SPDX_TYPE})

MAX_SBOM_BYTES = 4 * 1024**2
"""Ten thousand components with their licences."""

MAX_JOB_SBOM_BYTES = 8 * 1024**2
"""The bound of one job: encoded twice, they and the job's own statement fit into `MAX_ENVELOPE_BYTES`."""


class Sbom(Record):
    """predicate_type: of the statement. title: the standard with its version. components: how many it lists."""

    predicate_type: str
    title: str
    components: int
    document: Mapping[str, Any]


def read_sbom(data: bytes) -> Sbom:
    """The document in a file. Raises Invalid `sbom-invalid`."""
    try:
        document = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _invalid("it is not a JSON object")
    sbom = sbom_of(document)
    if sbom is None:
        raise _invalid('it has neither "bomFormat": "CycloneDX" with a specVersion, nor an spdxVersion with an SPDXID')
    try:
        size = len(_compact(document))
    except (UnicodeEncodeError, RecursionError) as error:
        raise _invalid("it has text that is not Unicode, or is nested too deeply") from error
    if size > MAX_SBOM_BYTES:
        raise _invalid(f"it has more than {MAX_SBOM_BYTES} bytes")
    return sbom


def sbom_of(document: Mapping[str, Any]) -> Sbom | None:
    """What a JSON object is, by the fields that its standard requires; None where it is something else."""
    if document.get("bomFormat") == "CycloneDX" and isinstance(version := document.get("specVersion"), str):
        return Sbom(CYCLONEDX_TYPE, f"CycloneDX {version[:16]}", _count(document, "components"), document)
    version = document.get("spdxVersion")
    if isinstance(version, str) and version.startswith("SPDX-2.") and isinstance(document.get("SPDXID"), str):
        return Sbom(SPDX_TYPE, f"SPDX {version[5:16]}", _count(document, "packages"), document)
    return None


def sbom_statement(name: str, sha256: str, sbom: Sbom) -> bytes:
    """What is stated about the subject of that name and hash. The same SBOM gives the same bytes."""
    return _compact(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": sha256}}],
            "predicateType": sbom.predicate_type,
            "predicate": sbom.document,
        }
    )


def _count(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name)
    return len(found) if isinstance(found, list) else 0


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a JSON number")
    return number


def _compact(value: object) -> bytes:
    """Not escaped, so that a document does not grow."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _invalid(cause: str) -> Invalid:
    return Invalid(
        "sbom-invalid",
        "the SBOM is neither a CycloneDX nor an SPDX 2 document in JSON",
        cause=cause,
        hint="write it as JSON: syft dir:. -o cyclonedx-json=bom.json",
    )
