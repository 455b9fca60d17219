"""Parses and checks manifests, indexes and configurations of images. Pure.

Docker's version 2, schema 2 (https://distribution.github.io/distribution/spec/manifest-v2-2/) and the OCI image
specification 1.1 (https://github.com/opencontainers/image-spec) differ in media types only, so one reader serves both.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.core.images.reference import ImageConfig, ImageUnavailable
from danube_pkg.kit.records import Record

MAX_DOCUMENT_BYTES = 4 * 1024**2
"""The limit of registries for manifests, and far above any configuration."""

MAX_LAYERS = 127
"""The limit of builders; the usual storage driver could not mount more."""

MAX_PLATFORMS = 1000
MAX_ENVIRONMENT = 1000
"""Environment variables of an image; large images have about fifty."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MANIFESTS = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")
_INDEXES = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
ACCEPTED = (*_MANIFESTS, *_INDEXES)
"""The requested media types; a registry that has only another form answers with an error."""

_CONFIGS = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")


_LAYERS = tuple(
    kind + packing
    for kind, packings in (
        ("application/vnd.docker.image.rootfs.diff.tar", ("", ".gzip", ".zstd")),
        ("application/vnd.oci.image.layer.v1.tar", ("", "+gzip", "+zstd")),
    )
    for packing in packings
)
"""Layers that can be unpacked. Compression is detected by the first bytes, since media types are often wrong."""


class Platform(Record):
    """Operating system and processor architecture, by their names in Go (GOOS, GOARCH)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(word for word in (self.os, self.architecture, self.variant) if word)


class Descriptor(Record):
    """Content by its hash. platform: None if an index has none for it. annotations: of an index; may hold names."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] | None = None


class Index(Record):
    """One image for several platforms."""

    manifests: tuple[Descriptor, ...]


class Layer(Record):
    """A compressed layer in the registry. size: bytes."""

    digest: str
    size: int


class Manifest(Record):
    """One image for one platform. layers: the lowest first."""

    config: Descriptor
    layers: tuple[Layer, ...]


class ImageConfiguration(Record):
    """The configuration of an image. diff_ids: sha256 of each layer's uncompressed archive."""

    platform: Platform
    config: ImageConfig
    diff_ids: tuple[str, ...]

    @property
    def chain(self) -> str:
        """The identity of the root file system of all layers (the specification's ChainID)."""
        chain = self.diff_ids[0]
        for diff_id in self.diff_ids[1:]:
            chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}"
        return chain


def platform_of(machine: str) -> Platform:
    """The platform for an output of `uname -m`."""
    known = {"x86_64": ("amd64", ""), "aarch64": ("arm64", "v8"), "armv7l": ("arm", "v7"), "i686": ("386", "")}
    architecture, variant = known.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


def read_manifest(data: bytes, name: str, media_type: str = "") -> Manifest | Index:
    """Parses a manifest or an index. Raises ImageUnavailable.

    name: the image in messages. media_type: the Content-Type, for documents without `mediaType`.
    """
    document = _document(data, name)
    kind = document.get("mediaType") or media_type.partition(";")[0].strip()
    if document.get("schemaVersion") == 1:
        raise _unfit(
            name, "its manifest has schema version 1, which is obsolete since 2017", "push it again with a current tool"
        )
    if kind in _INDEXES or (kind not in _MANIFESTS and "manifests" in document):
        entries = _list(document, "manifests", name)
        if len(entries) > MAX_PLATFORMS:
            raise _unfit(name, f"it has {len(entries)} platforms, the limit is {MAX_PLATFORMS}")
        return Index(tuple(_descriptor(entry, name) for entry in entries))
    if kind and kind not in _MANIFESTS:
        raise _unfit(name, f"{kind!r} is not the media type of an image manifest")
    config = _descriptor(document.get("config"), name)
    if config.media_type not in _CONFIGS:
        raise _unfit(name, f"it holds {config.media_type!r}, which is not a container image", "name an image")
    return Manifest(config, tuple(_layer(_descriptor(one, name), name) for one in _bounded_layers(document, name)))


def _bounded_layers(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    layers = _list(document, "layers", name)
    if not layers:
        raise _unfit(name, "it has no layers, so there is nothing to run in")
    if len(layers) > MAX_LAYERS:
        raise _unfit(name, f"it has {len(layers)} layers, the limit is {MAX_LAYERS}", "build it with fewer")
    return layers


def _layer(descriptor: Descriptor, name: str) -> Layer:
    if descriptor.media_type not in _LAYERS:
        cause = f"a layer is {descriptor.media_type!r}, which cannot be unpacked"
        raise _unfit(name, cause, "push it with plain, gzip or zstd layers")
    return Layer(descriptor.digest, descriptor.size)


def choose(index: Index, wanted: Platform, name: str) -> Descriptor:
    """The manifest for a platform, of the same variant if there is one. Raises ImageUnavailable."""
    fitting = [
        (one.platform.variant, one)
        for one in index.manifests
        if one.platform is not None and (one.platform.os, one.platform.architecture) == (wanted.os, wanted.architecture)
    ]
    for variant in (wanted.variant, ""):
        for found, one in fitting:
            if found == variant:
                return one
    offered = sorted({str(one.platform) for one in index.manifests if one.platform and one.platform.os != "unknown"})
    raise ImageUnavailable(
        f"image {name} is not built for this machine's platform",
        cause=f"it is available for {', '.join(offered) or 'no platform'}; this machine is {wanted}",
        hint=f"build it for {wanted} too, or name another image",
    )


def check_platform(found: Platform, wanted: Platform, name: str) -> None:
    """Checks the platform of an image without an index. Raises ImageUnavailable."""
    if (found.os, found.architecture) != (wanted.os, wanted.architecture):
        cause = f"it is for {found}; this machine is {wanted}"
        hint = f"build it for {wanted}, or name another image"
        raise ImageUnavailable(f"image {name} is not built for this machine's platform", cause=cause, hint=hint)


def read_configuration(data: bytes, manifest: Manifest, name: str) -> ImageConfiguration:
    """The configuration that belongs to a manifest. Raises ImageUnavailable."""
    document = _document(data, name)
    roots = _mapping(document.get("rootfs"), name, "rootfs")
    diff_ids = tuple(_digest(one, name) for one in _list(roots, "diff_ids", name))
    if len(diff_ids) != len(manifest.layers):
        raise _unfit(name, f"its configuration names {len(diff_ids)} layers, its manifest {len(manifest.layers)}")
    platform = Platform(
        _text(document, "os", name), _text(document, "architecture", name), _text(document, "variant", name)
    )
    return ImageConfiguration(
        platform, _image_config(_mapping(document.get("config") or {}, name, "config"), name), diff_ids
    )


def _image_config(document: Mapping[str, Any], name: str) -> ImageConfig:
    variables = document.get("Env") or []
    if not isinstance(variables, list) or len(variables) > MAX_ENVIRONMENT:
        raise _unfit(name, f"its environment is not a list of at most {MAX_ENVIRONMENT} variables")
    environment = []
    for entry in variables:
        if not isinstance(entry, str) or "\0" in entry:
            raise _unfit(name, "its environment has a variable that is not text")
        variable, equals, value = entry.partition("=")
        if variable and equals:
            environment.append((variable, value))
    directory = _text(document, "WorkingDir", name)
    if "\0" in directory:
        raise _unfit(name, "its working directory is not a path")
    return ImageConfig(
        environment=tuple(environment),
        working_directory=posixpath.normpath(f"/{directory}").replace("//", "/") if directory else "",
        user=_text(document, "User", name),
    )


def _document(data: bytes, name: str) -> Mapping[str, Any]:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise _unfit(name, f"one of its documents has {len(data)} bytes, the limit is {MAX_DOCUMENT_BYTES}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unfit(name, f"one of its documents is not JSON: {error}") from error
    return _mapping(document, name, "document")


def _descriptor(entry: Any, name: str) -> Descriptor:
    document = _mapping(entry, name, "descriptor")
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _unfit(name, f"a size in its manifest is {size!r}")
    named, notes = document.get("platform"), document.get("annotations")
    platform = None
    if named is not None:
        words = _mapping(named, name, "platform")
        platform = Platform(*(_text(words, key, name) for key in ("os", "architecture", "variant")))
    annotations = _mapping(notes, name, "annotations") if notes is not None else None
    return Descriptor(
        _text(document, "mediaType", name), _digest(document.get("digest"), name), size, platform, annotations
    )


def _digest(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise _unfit(name, f"{str(value)[:100]!r} is not a sha256 digest")
    return value


def _list(document: Mapping[str, Any], key: str, name: str) -> Sequence[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise _unfit(name, f"its {key!r} is not a list")
    return value


def _mapping(value: Any, name: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _unfit(name, f"its {what} is not a JSON object")
    return value


def _text(document: Mapping[str, Any], key: str, name: str) -> str:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise _unfit(name, f"its {key!r} is not text")
    return value or ""


def _unfit(
    name: str, cause: str, hint: str = "pull it with another tool to see whether it is intact"
) -> ImageUnavailable:
    return ImageUnavailable(f"image {name} cannot be used", cause=cause, hint=hint)
