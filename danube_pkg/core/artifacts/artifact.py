"""The record of an artifact: the name, the file and the hash of what a job keeps."""

from danube_pkg.kit.records import Record

MAX_ARTIFACT_BYTES = 10 * 1024**3
"""10 GiB: larger than any package that a small team ships, smaller than the disk of a typical server."""

MAX_NAME_LENGTH = 128


class ArtifactBounds(Record):
    """Bounds of one job's artifacts together, from `config.yaml`."""

    count: int = 1000
    """A file for each of many tests; more belongs into one archive."""
    total_bytes: int = 20 * 1024**3
    """Two of the largest."""


class Artifact(Record):
    """`file_name` is `<name>.tar.gz` for a directory and `<name>` for a file, below `artifacts/<job_id>/`.
    describes: of an SBOM, the name of the artifact or pushed image that it lists the components of; else ""."""

    id: str
    job_id: str
    name: str
    file_name: str
    size_bytes: int
    sha256: str
    created_at: float
    describes: str = ""
