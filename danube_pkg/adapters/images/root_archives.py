"""A plain root file system in a tar archive, as an archive of one image in the format of `docker save`."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from danube_pkg.adapters.images.packed import LayerBroken, pieces_of, unpacked
from danube_pkg.core.errors import Invalid
from danube_pkg.core.images.manifests import Platform
from danube_pkg.core.images.reference import ImageUnavailable

MAX_ROOT_BYTES = 64 * 1024**3
"""The largest images with whole development environments have half of it."""

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_TOP = {"bin", "usr", "etc", "lib", "sbin"}
"""A root file system has one of these at its top."""

LOOKED_THROUGH = 20_000
"""Members that are read until one of these has come."""


def write_root_image(root: Path, target: IO[bytes], name: str, platform: Platform) -> None:
    """Write the archive of an image with this root; plain, gzip or zstd. Raises ImageUnavailable, and Invalid for an
    archive that has another shape."""
    try:
        with root.open("rb") as file:
            _write(unpacked_or_plain(file), target, name, platform, str(root))
        target.flush()
    except (LayerBroken, OSError, tarfile.TarError) as error:
        raise ImageUnavailable(
            f"{root} cannot be read", cause=str(error), hint="tar -c -C ROOT . > root.tar"
        ) from error


def _write(pieces: Iterator[bytes], target: IO[bytes], name: str, platform: Platform, shown: str) -> None:
    """The layer's size and hash are known behind its bytes only: its header is written last, before them."""
    header_bytes = tarfile.BLOCKSIZE
    target.seek(header_bytes)
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_ROOT_BYTES:
            raise LayerBroken(f"it unpacks to more than {MAX_ROOT_BYTES >> 30} GiB")
        digest.update(piece)
        target.write(piece)
    target.flush()
    target.seek(header_bytes)
    _check_is_root(target, shown)
    target.seek(0)
    target.write(_member("layer.tar", size).tobuf(tarfile.GNU_FORMAT))
    target.seek(header_bytes + size)
    target.write(b"\0" * (-size % tarfile.BLOCKSIZE))
    config = _json(_configuration(platform, f"sha256:{digest.hexdigest()}"))
    manifest = _json([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}])
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for file, data in (("config.json", config), ("manifest.json", manifest)):
            archive.addfile(_member(file, len(data)), io.BytesIO(data))


def unpacked_or_plain(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a tar archive, which may be compressed."""
    is_plain = file.read(tarfile.BLOCKSIZE)[257:262] == b"ustar"
    file.seek(0)
    pieces = pieces_of(file, os.fstat(file.fileno()).st_size)
    return pieces if is_plain else unpacked(pieces)


def _check_is_root(layer: IO[bytes], shown: str) -> None:
    """Raises Invalid for an archive of something else."""
    tops: set[str] = set()
    with tarfile.open(fileobj=layer, mode="r|") as archive:
        for number, member in enumerate(archive):
            top = member.name.removeprefix("./").partition("/")[0]
            if top in _TOP:
                return
            tops.add(top)
            if number >= LOOKED_THROUGH:
                break
    if tops & {"manifest.json", "index.json", "oci-layout"}:
        raise Invalid("image-archive", f"{shown} is an archive of images", hint=f"danube image load {shown}")
    raise Invalid(
        "root-missing",
        f"{shown} has no root file system at its top",
        cause=f"it has none of {', '.join(sorted(_TOP))}, but {', '.join(sorted(tops)[:5]) or 'nothing'}",
        hint="tar -c -C ROOT . > root.tar",
    )


def _configuration(platform: Platform, diff_id: str) -> Mapping[str, Any]:
    return {
        "architecture": platform.architecture,
        "os": platform.os,
        **({"variant": platform.variant} if platform.variant else {}),
        "config": {"Env": [PATH]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
