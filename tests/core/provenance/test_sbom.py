"""SBOMs: what is one, and what is stated with it."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from danube_pkg.core.errors import Invalid
from danube_pkg.core.provenance.sbom import CYCLONEDX_TYPE, MAX_SBOM_BYTES, SPDX_TYPE, read_sbom, sbom_statement

CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "components": [{"type": "library", "name": "größe", "version": "1.0"}],
}
SPDX: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "app",
    "packages": [{"SPDXID": "SPDXRef-a", "name": "a"}, {"SPDXID": "SPDXRef-b", "name": "b"}],
}


@pytest.mark.parametrize(
    ("document", "kind", "title", "components"),
    [(CYCLONEDX, CYCLONEDX_TYPE, "CycloneDX 1.6", 1), (SPDX, SPDX_TYPE, "SPDX 2.3", 2)],
)
def test_both_standards_are_stated_about_the_subject(
    document: dict[str, Any], kind: str, title: str, components: int
) -> None:
    found = read_sbom(json.dumps(document, indent=2).encode())
    assert (found.predicate_type, found.title, found.components) == (kind, title, components)
    payload = sbom_statement("app.tar.gz", "ab" * 32, found)
    statement = json.loads(payload)
    assert statement["subject"] == [{"name": "app.tar.gz", "digest": {"sha256": "ab" * 32}}]
    assert (statement["predicateType"], statement["predicate"]) == (kind, document)
    assert payload == sbom_statement("app.tar.gz", "ab" * 32, read_sbom(json.dumps(document).encode()))
    Statement.copy_from_pb(json_format.ParseDict(statement, StatementMessage())).validate()


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "not JSON"),
        (b"<bom/>", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"bomFormat": "CycloneDX"}', "specVersion"),
        (b'{"bomFormat": "CycloneDX", "specVersion": 1}', "specVersion"),
        (b'{"spdxVersion": "SPDX-3.0", "SPDXID": "x"}', "SPDXID"),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "a": NaN}', "not JSON"),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "a": 1e999}', "not JSON"),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "a": "\\ud800"}', "not Unicode"),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "a": [' + b"1e15," * 400_000 + b"1]}", str(MAX_SBOM_BYTES)),
    ],
    ids=["empty", "xml", "deep", "array", "no-version", "number", "spdx-3", "nan", "infinite", "surrogate", "grows"],
)
def test_anything_else_is_refused_with_its_cause(data: bytes, cause: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_sbom(data)
    assert refusal.value.reference == "sbom-invalid"
    assert cause in refusal.value.cause
