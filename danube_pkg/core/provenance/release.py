"""What is stated about a file of a release: an in-toto Statement v1 with SLSA provenance v1.

`docs/buildtypes/release-v1.md` describes each parameter. Nothing depends on the time: the same build gives the same
bytes.
"""

import json
from collections.abc import Mapping

from danube_pkg.core.provenance.builders import RELEASE, RELEASE_BUILD_TYPE, builder_uri
from danube_pkg.core.provenance.statement import PREDICATE_TYPE, STATEMENT_TYPE
from danube_pkg.kit.records import Record

RELEASE_EXTERNAL = frozenset({"repository", "ref", "version", "artifact", "architecture"})
"""The external parameters of the build type: all that a verifier knows."""


class ReleasedFile(Record):
    """A file and where it comes from.

    artifact: its kind, such as `binary`. commit_sha: of the repository at `ref`. materials: name → SHA-256 of what
    decides which further code is in it, such as lock files. tools: name → version of what built it.
    """

    name: str
    sha256: str
    artifact: str
    version: str
    architecture: str
    repository: str
    ref: str
    commit_sha: str
    materials: Mapping[str, str]
    tools: Mapping[str, str]


def release_statement(file: ReleasedFile) -> bytes:
    """The statement as JSON with sorted keys."""
    source = f"git+{file.repository}{f'@{file.ref}' if file.ref else ''}"
    definition = {
        "buildType": RELEASE_BUILD_TYPE,
        "externalParameters": {
            "repository": file.repository,
            "ref": file.ref,
            "version": file.version,
            "artifact": file.artifact,
            "architecture": file.architecture,
        },
        "internalParameters": {},
        "resolvedDependencies": [
            {"name": "source", "uri": source, "digest": {"gitCommit": file.commit_sha}},
            *({"name": name, "digest": {"sha256": digest}} for name, digest in sorted(file.materials.items())),
        ],
    }
    details = {"builder": {"id": builder_uri(RELEASE), "version": dict(sorted(file.tools.items()))}}
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": file.name, "digest": {"sha256": file.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"buildDefinition": definition, "runDetails": details},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
