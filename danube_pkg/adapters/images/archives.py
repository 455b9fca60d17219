"""Reads images from files: the format of `docker save`, and OCI layouts in a tar archive; plain, gzip or zstd.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md; the older form has a `manifest.json` that names
a configuration and layers. If a file has both, they are equivalent.
"""

import hashlib
import json
import os
import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from danube_pkg.adapters.images.packed import LayerBroken, pieces_of, unpacked
from danube_pkg.adapters.images.tar import BLOCK_BYTES, MemberKind, members, pass_over
from danube_pkg.core.images.manifests import (
    MAX_DOCUMENT_BYTES,
    Descriptor,
    ImageConfiguration,
    Index,
    Layer,
    Manifest,
    Platform,
    check_platform,
    choose,
    read_configuration,
    read_manifest,
)
from danube_pkg.core.images.reference import ArchivedImage, ImageUnavailable, PackedLayer
from danube_pkg.kit.records import Record

MAX_MEMBERS = 20_000
"""Limit of members in an archive: enough for a hundred images with a hundred layers each."""

MAX_ARCHIVE_BYTES = 256 * 1024**3
_FULL_NAME = "io.containerd.image.name"
_NAME = "org.opencontainers.image.ref.name"
_NO_DIGEST = f"sha256:{'0' * 64}"


class _Part(Record):
    offset: int
    size: int


class _SeekableFile:
    """A file as a stream for `tar.members`; skipped content is not read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self._end = os.fstat(file.fileno()).st_size

    def take(self, size: int) -> bytes:
        data = self.file.read(size)
        if data and len(data) < size:
            raise LayerBroken("it ends in the middle of a file")
        return data

    def pass_over(self, size: int) -> None:
        if self.file.seek(size, os.SEEK_CUR) > self._end:
            raise LayerBroken("it ends in the middle of a file")


@contextmanager
def open_archive(path: Path, scratch: Path) -> Iterator["Archive"]:
    """Opens a file of images. scratch: directory for the decompressed file, which is removed after the block.

    Raises ImageUnavailable.
    """
    try:
        with path.open("rb") as file, tempfile.NamedTemporaryFile(dir=scratch) as plain:
            is_plain = file.read(BLOCK_BYTES)[257:262] == b"ustar"
            file.seek(0)
            if is_plain:
                yield Archive(path, path.absolute(), file)
            else:
                _unpack(unpacked(pieces_of(file, os.fstat(file.fileno()).st_size)), plain.file)
                yield Archive(path, Path(plain.name), plain.file)
    except LayerBroken as error:
        raise _unreadable(path, str(error)) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _unpack(pieces: Iterator[bytes], plain: IO[bytes]) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_ARCHIVE_BYTES:
            raise LayerBroken(f"it unpacks to more than {MAX_ARCHIVE_BYTES >> 30} GB")
        plain.write(piece)
    plain.flush()
    plain.seek(0)


def _unreadable(path: Path, cause: str) -> ImageUnavailable:
    return ImageUnavailable(
        f"{path} is not an archive of images", cause=cause, hint="write one with: docker save NAME -o FILE"
    )


class Archive:
    """The images in an open file. Their layers are read from it later, so it must stay open until then."""

    def __init__(self, path: Path, plain: Path, file: IO[bytes]) -> None:
        self._path = path
        self._plain = plain
        self._file = file
        self._parts: dict[str, _Part] = {}
        links: dict[str, str] = {}
        stream = _SeekableFile(file)
        for number, member in enumerate(members(stream)):
            if number >= MAX_MEMBERS:
                raise LayerBroken(f"it has more than {MAX_MEMBERS} members")
            name = posixpath.normpath(member.path.decode(errors="replace"))
            if member.kind is MemberKind.FILE:
                self._parts[name] = _Part(file.tell(), member.size)
            elif member.kind is MemberKind.LINK:  # in older archives, two images share a layer by a link
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.link.decode()))
            pass_over(stream, member)
        self._parts |= {name: self._parts[target] for name, target in links.items() if target in self._parts}

    def images(self, platform: Platform) -> Sequence[ArchivedImage]:
        """The images for this machine, at least one. Raises ImageUnavailable."""
        if "manifest.json" in self._parts:
            return self._saved_by_docker(platform)
        if "index.json" not in self._parts:
            hint = f"of docker save: docker save NAME -o FILE; a plain root file system: danube image import {self._path} NAME"
            cause = "it has neither an index.json nor a manifest.json"
            raise ImageUnavailable(f"{self._path} is not an archive of images", cause=cause, hint=hint)
        return self._layout(platform)

    def _document(self, name: str) -> bytes:
        part = self._parts.get(name)
        if part is None:
            raise _unreadable(self._path, f"{name} is not in it")
        if part.size > MAX_DOCUMENT_BYTES:
            raise _unreadable(self._path, f"its {name} has {part.size} bytes")
        self._file.seek(part.offset)
        return self._file.read(part.size)

    # --- docker save

    def _saved_by_docker(self, platform: Platform) -> Sequence[ArchivedImage]:
        found = []
        for entry in self._entries():
            names, config, paths = entry.get("RepoTags") or [], str(entry.get("Config")), entry.get("Layers") or []
            data = self._document(posixpath.normpath(config))
            label = names[0] if names else str(self._path)
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            layers = tuple(Layer(_NO_DIGEST, self._part(str(path)).size) for path in paths)
            manifest = Manifest(Descriptor("", digest, len(data)), layers)
            configuration = read_configuration(data, manifest, label)
            check_platform(configuration.platform, platform, label)
            found.append(self._image(tuple(map(str, names)), digest, configuration, [str(path) for path in paths]))
        return found

    def _entries(self) -> Sequence[Mapping[str, Any]]:
        try:
            entries = json.loads(self._document("manifest.json"))
        except ValueError as error:
            raise _unreadable(self._path, f"its manifest.json is not JSON: {error}") from error
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            raise _unreadable(self._path, "its manifest.json names no image")
        return entries

    def _part(self, path: str) -> _Part:
        part = self._parts.get(posixpath.normpath(path))
        if part is None:
            raise _unreadable(self._path, f"layer {path} is not in it")
        return part

    def _image(
        self, names: tuple[str, ...], digest: str, configuration: ImageConfiguration, paths: Sequence[str]
    ) -> ArchivedImage:
        parts = [self._part(path) for path in paths]
        layers = tuple(
            PackedLayer(self._plain, part.offset, part.size, diff_id)
            for part, diff_id in zip(parts, configuration.diff_ids, strict=True)
        )
        return ArchivedImage(names, digest, configuration.chain, configuration.config, layers)

    # --- OCI layout

    def _layout(self, platform: Platform) -> Sequence[ArchivedImage]:
        label = str(self._path)
        index = read_manifest(self._document("index.json"), label)
        if not isinstance(index, Index) or not index.manifests:
            raise _unreadable(self._path, "its index.json names no image")
        named: dict[str, list[Descriptor]] = {}
        for one in index.manifests:
            named.setdefault(_name_of(one), []).append(one)
        return [self._layout_image(name, entries, platform) for name, entries in named.items()]

    def _layout_image(self, name: str, entries: Sequence[Descriptor], platform: Platform) -> ArchivedImage:
        label = name or str(self._path)
        chosen = entries[0] if len(entries) == 1 else choose(Index(tuple(entries)), platform, label)
        document = read_manifest(self._blob(chosen.digest), label, chosen.media_type)
        if isinstance(document, Index):
            chosen = choose(document, platform, label)
            document = read_manifest(self._blob(chosen.digest), label, chosen.media_type)
        if isinstance(document, Index):
            raise _unreadable(self._path, "it has an index of indexes")
        configuration = read_configuration(self._blob(document.config.digest), document, label)
        check_platform(configuration.platform, platform, label)
        paths = [_blob_path(layer.digest) for layer in document.layers]
        return self._image((name,) if name else (), chosen.digest, configuration, paths)

    def _blob(self, digest: str) -> bytes:
        data = self._document(_blob_path(digest))
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise _unreadable(self._path, f"its blob {digest} has another digest")
        return data


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{digest.partition(':')[2]}"


def _name_of(descriptor: Descriptor) -> str:
    """The full name from the annotations; the shorter annotation is often only a tag, which is not used."""
    notes = descriptor.annotations or {}
    short = str(notes.get(_NAME, ""))
    return str(notes.get(_FULL_NAME, "")) or (short if "/" in short or ":" in short else "")
