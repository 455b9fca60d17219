"""Image references, the records of images, and the error for images that are unavailable. Pure.

The grammar is that of https://github.com/distribution/reference: `[host[:port]/]path[:tag][@digest]`, where the first
part is a host when it has a dot, a colon or is `localhost`. A name without a host is in the default registry, which is
a setting.
"""

import re
from ipaddress import IPv6Address
from pathlib import Path

from danube_pkg.core.errors import Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import Record

DEFAULT_TAG = "latest"
MAX_NAME_LENGTH = 255
"""Length of host and path together, as the grammar bounds it."""

_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?P<name>\[[0-9A-Fa-f:.]+\]|{_LABEL}(\.{_LABEL})*)(:(?P<port>[0-9]{{1,5}}))?")


class ImageUnavailable(Permanent):
    """An image that cannot be used until its name, its content or an access right is fixed."""

    def __init__(self, what: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__(Reason.IMAGE_PULL_FAILED, what, cause=cause, hint=hint)


class ImageReference(Record):
    """A parsed name. tag: empty only if a digest is given. `str` is the full name, by which images are stored."""

    host: str
    path: str
    tag: str
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


class ImageConfig(Record):
    """The parts of an image's configuration that apply to a container whose command replaces entry point and command.

    environment: (name, value) in order. user: as in the image (`node`, `1000:1000`, "" for root).
    """

    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = ""
    user: str = ""


class Image(Record):
    """An unpacked image in the store.

    name: the full reference. digest: what the name referred to when it was pulled; for an image of several platforms
    the index. manifest: the digest of the manifest for this machine. chain: the root file system. loaded: from a file,
    so it is not pulled again and never removed to make room. size_bytes: of the unpacked files. at: when it was pulled
    or loaded, in Unix seconds.
    """

    name: str
    digest: str
    manifest: str
    chain: str
    config: ImageConfig
    size_bytes: int
    loaded: bool
    at: float


class PackedLayer(Record):
    """A compressed layer as part of a file. diff_id: the digest of its uncompressed archive."""

    path: Path
    offset: int
    size: int
    diff_id: str


class PackedBlob(Record):
    """A layer or a configuration as part of a file. digest: of these bytes."""

    digest: str
    path: Path
    offset: int
    size: int


class PackedImage(Record):
    """An image in a file as it is pushed to a registry."""

    manifest: bytes
    media_type: str
    blobs: tuple[PackedBlob, ...]


class StoredImage(Record):
    """An image in the store. used_at: its last use, in Unix seconds. pods: how many use it now."""

    image: Image
    used_at: float
    pods: int


class ImageBounds(Record):
    """Limits for images: untrusted code can name an image that was built to fill a disk.

    image_bytes: unpacked; 64 GiB is above the largest images of machine learning. files: ten times as many as in a
    large image. ratio: unpacked to compressed bytes of a layer. Text compresses to a tenth, zeros to a thousandth; a
    layer of more than 100 is not a file system. free_bytes: unpacked size up to which the ratio does not apply.
    """

    image_bytes: int = 64 * 1024**3
    files: int = 2_000_000
    ratio: int = 100
    free_bytes: int = 256 * 1024**2
    store_bytes: int = 40 * 1024**3
    """Size of the whole store, above which the least recently used images are removed. A few dozen usual images."""


class ArchivedImage(Record):
    """An image in a file.

    names: as in the file; may be empty. digest: of its manifest, or of its configuration if the file has no manifests.
    """

    names: tuple[str, ...]
    digest: str
    chain: str
    config: ImageConfig
    layers: tuple[PackedLayer, ...]


def parse_reference(text: str, default_host: str) -> ImageReference:
    """Parses a name. Raises ImageUnavailable with the part that is not valid."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad_name(
            text, f"{digest!r} is not a digest", "a digest is sha256: and 64 hexadecimal digits in lower case"
        )
    head, slash, tail = rest.partition("/")
    has_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    host, path = (head, tail) if has_host else (default_host, rest)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _bad_name(text, f"{tag!r} is not a tag", "a tag is up to 128 letters, digits, '_', '.' and '-'")
    if not is_host(host):
        raise _bad_name(text, f"{host!r} is not a host", "a host is a name or an address, optionally with a port")
    if not _PATH.fullmatch(path):
        hint = "names are in lower case: " + text.lower() if _PATH.fullmatch(path.lower()) else "for example: node:20"
        raise _bad_name(text, f"{path!r} is not a repository name", hint)
    if not has_host and "/" not in path:
        path = namespace_of(host) + path
    if len(host) + 1 + len(path) > MAX_NAME_LENGTH:
        raise _bad_name(text, f"it has more than {MAX_NAME_LENGTH} characters", "give the repository a shorter name")
    return ImageReference(host, path, tag or ("" if digest else DEFAULT_TAG), digest)


def is_host(text: str) -> bool:
    """Whether a text is `host[:port]`: names as DNS has them, addresses in brackets, a port from 1 to 65535. Anything
    else would fail where a connection is opened, as an error of Danube."""
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 443) < 65536:
        return False
    if not text.startswith("["):
        return True
    try:
        return bool(IPv6Address(found["name"][1:-1]))
    except ValueError:
        return False


def _bad_name(text: str, cause: str, hint: str) -> ImageUnavailable:
    return ImageUnavailable(f"{text[:300]!r} is not an image name", cause=cause, hint=hint)


HUB = "docker.io"
"""The one host with rules of its own: it has short names, and its API is at another host. It is the default registry
of all tools that use this grammar; `[registry] default_host` overrides it."""

HUB_ENDPOINT = "registry-1.docker.io"
HUB_LOGIN = "index.docker.io"
"""The name under which `docker login` stores the hub's credentials."""


def namespace_of(host: str) -> str:
    """The prefix of a one-word name at that host: the hub has its own images under `library/`."""
    return "library/" if host == HUB else ""
