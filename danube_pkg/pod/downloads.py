"""Writes an artifact of another job into the workspace: beside its place first, and under its name once it is whole."""

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from danube._errors import DanubeError
from danube._proto import coordinator_pb2 as pb

from danube_pkg.kit.trees import remove_tree
from danube_pkg.pod.source_tree import BadSource, unpack_artifact

CHUNK_BYTES = 256 * 1024

ARCHIVE_END = ".tar.gz"


def write_download(
    name: str, sequence: int, directory: Path, fetch: Callable[[Callable[[Iterator[pb.ArtifactPart]], None]], None]
) -> Path:
    """Returns the path that has the artifact: `directory/name`, with its ending where a file has one. fetch: calls its
    argument with the parts, again after a lost connection.

    Raises DanubeError for bytes that are not those of the digest, and for an archive that cannot be unpacked.
    """
    beside = directory / f".danube-download-{sequence}"
    facts: list[pb.ArtifactPart] = []

    def write(parts: Iterator[pb.ArtifactPart]) -> None:
        facts[:] = [next(parts)]
        digest = hashlib.sha256()
        with open(beside, "wb") as file:
            for part in parts:
                digest.update(part.data)
                file.write(part.data)
        if digest.hexdigest() != facts[0].sha256:
            what = f"the artifact {name!r} of job {facts[0].job} is not the one that its provenance states"
            raise DanubeError("artifact-damaged", what, hint="its file was changed on the server: danube rerun JOB")

    target = directory / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fetch(write)
        if facts[0].file_name == f"{name}{ARCHIVE_END}":
            _unpack(beside, target, directory / f".danube-unpacked-{sequence}")
        else:
            target = directory / facts[0].file_name
            if os.path.lexists(target):
                raise FileExistsError(f"{facts[0].file_name} exists there")
            os.rename(beside, target)
    except (OSError, EOFError, BadSource) as error:
        what = f"the artifact {name!r} cannot be written to the workspace"
        raise DanubeError("artifact-unwritable", what, cause=str(error), hint="see the cause") from error
    finally:
        beside.unlink(missing_ok=True)
    return target


def _unpack(archive: Path, target: Path, unpacked: Path) -> None:
    """Raises OSError, EOFError, BadSource."""
    unpacked.mkdir()
    try:
        with gzip.open(archive) as content:
            unpack_artifact(iter(lambda: content.read(CHUNK_BYTES), b""), unpacked)
        os.rename(unpacked, target)
    finally:
        if unpacked.exists():
            remove_tree(unpacked)
