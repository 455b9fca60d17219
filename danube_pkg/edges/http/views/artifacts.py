"""Artifacts of jobs."""

from typing import Annotated

from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso


class ArtifactView(Record):
    """A file or directory that a job uploaded."""

    name: Annotated[str, about("The name that the danubefile gives it.")]
    file_name: Annotated[str, about("The name of its download; it ends with .tar.gz for a directory.")]
    size_bytes: Annotated[int, about("The size of the download.")]
    sha256: Annotated[str, about("The SHA-256 of the download, in hexadecimal digits.")]
    created_at: Annotated[Time, about("When it was uploaded.")]


class ArtifactList(Record):
    """All artifacts of a job."""

    artifacts: Annotated[tuple[ArtifactView, ...], about("In the order of their upload.")]


def artifact_view(artifact: Artifact) -> ArtifactView:
    """The artifact without its bytes."""
    return ArtifactView(
        artifact.name, artifact.file_name, artifact.size_bytes, artifact.sha256, iso(artifact.created_at)
    )
