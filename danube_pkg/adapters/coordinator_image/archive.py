"""Writes an image as an OCI layout in a tar archive, reproducibly: the same files give the same bytes.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md. The one layer is compressed while it is written,
into a temporary file, since its digest is part of its name. All times are the epoch and all owners numbers.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from danube_pkg.adapters.coordinator_image.entries import ImageEntry
from danube_pkg.core.images.manifests import Platform
from danube_pkg.core.images.reference import PackedBlob, PackedImage
from danube_pkg.kit.records import Record

COMPRESSION_LEVEL = 6
"""Level 9 takes three times as long for one percent."""

COPY_BYTES = 1024**2

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
"""containerd takes an image's full name from it: the other one is often only a tag."""

_OCI = "application/vnd.oci.image"


class ImageRecipe(Record):
    """What an image says about itself. user: as in the configuration, `1000:1000`. made_by: for its history."""

    name: str
    platform: Platform
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    command: tuple[str, ...]
    user: str
    working_directory: str
    made_by: str = "danube image coordinator"


class WrittenImage(Record):
    """digest: of the manifest. size_bytes: of the archive. packed: its parts, for a registry."""

    digest: str
    size_bytes: int
    packed: PackedImage


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class _HashedFile:
    """A file that is written and hashed."""

    def __init__(self, file: _Writable) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def write_image(path: Path, entries: Iterable[ImageEntry], recipe: ImageRecipe) -> WrittenImage:
    """Write the archive. The layer needs as much space again beside it until it is done. Raises OSError."""
    with path.open("wb") as target, tempfile.TemporaryFile(dir=path.parent) as layer:
        diff_id, layer_digest = _write_layer(layer, entries)
        size = layer.tell()
        layer.seek(0)
        config = _json(_configuration(recipe, diff_id))
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": _descriptor(f"{_OCI}.config.v1+json", _digest(config), len(config)),
                "layers": [_descriptor(f"{_OCI}.layer.v1.tar+gzip", layer_digest, size)],
            }
        )
        entry = _descriptor(f"{_OCI}.manifest.v1+json", _digest(manifest), len(manifest))
        entry["annotations"] = {FULL_NAME: recipe.name, REF_NAME: recipe.name}
        index = _json({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [entry]})
        with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, data in (("oci-layout", _json({"imageLayoutVersion": "1.0.0"})), ("index.json", index)):
                _add_bytes(archive, name, data)
            for directory in ("blobs", "blobs/sha256"):
                archive.addfile(_member(directory, kind=tarfile.DIRTYPE, mode=0o755))
            _add_bytes(archive, f"blobs/sha256/{_digest(manifest)[7:]}", manifest)
            blobs = [
                _add_blob(archive, path, _digest(config), io.BytesIO(config), len(config)),
                _add_blob(archive, path, layer_digest, layer, size),
            ]
        packed = PackedImage(manifest, f"{_OCI}.manifest.v1+json", tuple(blobs))
        return WrittenImage(_digest(manifest), target.tell(), packed)


def _write_layer(layer: IO[bytes], entries: Iterable[ImageEntry]) -> tuple[str, str]:
    """The digests of the uncompressed and of the compressed archive."""
    outer = _HashedFile(layer)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION_LEVEL, fileobj=outer, mtime=0) as packed:
        inner = _HashedFile(packed)
        with tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT, bufsize=COPY_BYTES) as archive:  # type: ignore[call-overload]
            for entry in entries:
                _add_entry(archive, entry)
    layer.flush()
    return inner.digest, outer.digest


def _add_entry(archive: tarfile.TarFile, entry: ImageEntry) -> None:
    kind = tarfile.SYMTYPE if entry.link else tarfile.DIRTYPE if entry.directory else tarfile.REGTYPE
    member = _member(entry.path, kind=kind, mode=entry.mode)
    member.uid = member.gid = entry.owner
    member.linkname = entry.link
    if entry.source is None:
        member.size = len(entry.content)
        archive.addfile(member, io.BytesIO(entry.content))
        return
    with entry.source.open("rb") as file:
        member.size = os.fstat(file.fileno()).st_size
        archive.addfile(member, file)


def _member(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = _member(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _add_blob(archive: tarfile.TarFile, path: Path, digest: str, data: IO[bytes], size: int) -> PackedBlob:
    member = _member(f"blobs/sha256/{digest[7:]}")
    member.size = size
    offset = archive.offset + tarfile.BLOCKSIZE  # its header is one block, since the name is short
    archive.addfile(member, data)
    return PackedBlob(digest, path, offset, size)


def _configuration(recipe: ImageRecipe, diff_id: str) -> Mapping[str, Any]:
    """https://github.com/opencontainers/image-spec/blob/main/config.md"""
    return {
        "created": "1970-01-01T00:00:00Z",
        "architecture": recipe.platform.architecture,
        "os": recipe.platform.os,
        **({"variant": recipe.platform.variant} if recipe.platform.variant else {}),
        "config": {
            "User": recipe.user,
            "Env": [f"{name}={value}" for name, value in recipe.environment.items()],
            "Cmd": list(recipe.command),
            "WorkingDir": recipe.working_directory,
            "Labels": dict(recipe.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": recipe.made_by}],
    }


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
