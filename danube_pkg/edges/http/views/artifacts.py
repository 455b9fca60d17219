"""Artifacts of jobs."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.documents.marked import about
from danube_pkg.core.images.pushed import AttestationStatus, PushedImage
from danube_pkg.core.jobs.job import Provenance
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso


class ArtifactView(Record):
    """A file or directory that a job uploaded."""

    name: Annotated[str, about("The name that the danubefile gives it.")]
    file_name: Annotated[str, about("The name of its download; it ends with .tar.gz for a directory.")]
    size_bytes: Annotated[int, about("The size of the download.")]
    sha256: Annotated[str, about("The SHA-256 of the download, in hexadecimal digits.")]
    created_at: Annotated[Time, about("When it was uploaded.")]
    describes: Annotated[str, about("Of an SBOM: the artifact or pushed image that it describes; else empty.")]


class PushedImageView(Record):
    """An image that a job pushed to the server's own registry."""

    name: Annotated[str, about("Host, repository and tag.")]
    digest: Annotated[str, about("The digest of its manifest.")]
    step: Annotated[int, about("The step that built it.")]
    pushed_at: Annotated[Time, about("When it was recorded.")]
    attestation: Annotated[
        AttestationStatus,
        about("`attested`: the registry has the signed statement about it. `unattested`: it never will."),
    ]
    problem: Annotated[str, about("Why it is unattested; else empty.")]


class ProvenanceView(Record):
    """Whether a signed statement about a job exists."""

    keyid: Annotated[str | None, about("The key that has signed it; null where it could not be signed.")]
    problem: Annotated[str, about("Why it could not be signed; empty where it was.")]


class ArtifactList(Record):
    """All artifacts of a job."""

    provenance: Annotated[
        ProvenanceView | None,
        about("The signed statement about the job; null until it has ended, and for jobs from before there were any."),
    ]
    artifacts: Annotated[tuple[ArtifactView, ...], about("In the order of their upload.")]
    images: Annotated[
        tuple[PushedImageView, ...], about("The images that it pushed to the server's registry, by name.")
    ]


def artifact_list(
    artifacts: Sequence[Artifact], images: Sequence[PushedImage], provenance: Provenance | None
) -> ArtifactList:
    """A job's artifacts and images, and whether it was signed."""
    signed = ProvenanceView(provenance.key_id or None, provenance.problem) if provenance is not None else None
    return ArtifactList(signed, tuple(map(artifact_view, artifacts)), tuple(map(_image_view, images)))


def _image_view(image: PushedImage) -> PushedImageView:
    return PushedImageView(image.name, image.digest, image.step, iso(image.at), image.attestation, image.problem)


def artifact_view(artifact: Artifact) -> ArtifactView:
    """The artifact without its bytes."""
    return ArtifactView(
        artifact.name,
        artifact.file_name,
        artifact.size_bytes,
        artifact.sha256,
        iso(artifact.created_at),
        artifact.describes,
    )
