"""Images: what a reference means, what a runtime needs of an image, and every way in which one cannot be had.

The grammar is that of https://github.com/distribution/reference: `[host[:port]/]path[:tag][@digest]`, where the first part is a
host when it has a dot, a colon or is `localhost`. A name without a host means the default registry, which is a setting.
"""

import re
from pathlib import Path

from danube_pkg.core.errors import Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import Record

DEFAULT_TAG = "latest"
MAX_NAME_LENGTH = 255
"""Of host and path together; the grammar's own bound."""

_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")


class ImageUnavailable(Permanent):
    """An image that cannot be had: trying again changes nothing until its name, its content or an access is mended."""

    def __init__(self, what: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__(Reason.IMAGE_PULL_FAILED, what, cause=cause, hint=hint)


class ImageReference(Record):
    """A parsed name. tag: "" only where a digest is given. `str` is the full name, by which images are stored."""

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
    """What of an image's configuration holds for a container whose command is given: that replaces entry point and command.

    environment: (name, value) in order. user: as the image has it (`node`, `1000:1000`, "" for root).
    """

    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = ""
    user: str = ""


class Image(Record):
    """An image that is here, unpacked. name: the full reference. digest: of what the name meant when it was asked for, which
    for an image of several platforms is the index; manifest: of the one for this machine. chain: names the root file system.

    loaded: it came from a file, so no registry is asked for it, and it is never removed to make room.
    size_bytes: of the unpacked files. at: when it was pulled or loaded, in Unix seconds.
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
    """A layer in a file, which may hold more than it. diff_id: the digest of its archive when it is unpacked."""

    path: Path
    offset: int
    size: int
    diff_id: str


class StoredImage(Record):
    """An image as it is listed, with when it was last used and by how many pods it is used now."""

    image: Image
    used_at: float
    pods: int


class ImageBounds(Record):
    """What an image may cost. Whoever can name an image can name one that was made to fill a disk.

    image_bytes: 64 GiB, above the largest images of machine learning. files: ten times what a large image has.
    ratio: what files may take of the packed bytes. Text packs to a tenth, zeros to a thousandth; a layer that grows more than a
    hundredfold is no file system. free_bytes: grown to no more than this the ratio does not matter.
    """

    image_bytes: int = 64 * 1024**3
    files: int = 2_000_000
    ratio: int = 100
    free_bytes: int = 256 * 1024**2
    store_bytes: int = 40 * 1024**3
    """Of the whole store; above it what was used longest ago is removed. A few dozen usual images."""


class ArchivedImage(Record):
    """An image in a file. names: as the file has them, maybe none. digest: of its manifest, or of its configuration where the
    file has no manifests. diff_ids belong to `layers`."""

    names: tuple[str, ...]
    digest: str
    chain: str
    config: ImageConfig
    layers: tuple[PackedLayer, ...]


def parse_reference(text: str, default_host: str) -> ImageReference:
    """What a name means. Raises ImageUnavailable with what is wrong in it."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad_name(text, f"{digest!r} is no digest", "a digest is sha256: and 64 hexadecimal digits in lower case")
    head, slash, tail = rest.partition("/")
    has_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    host, path = (head, tail) if has_host else (default_host, rest)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _bad_name(text, f"{tag!r} is no tag", "a tag is up to 128 letters, digits, '_', '.' and '-'")
    if not _HOST.fullmatch(host):
        raise _bad_name(text, f"{host!r} is no host", "a host is a name or an address, with a port where it needs one")
    if not _PATH.fullmatch(path):
        hint = "names are in lower case: " + text.lower() if _PATH.fullmatch(path.lower()) else "for example: node:20"
        raise _bad_name(text, f"{path!r} is no name of a repository", hint)
    if not has_host and "/" not in path:
        path = namespace_of(host) + path
    if len(host) + 1 + len(path) > MAX_NAME_LENGTH:
        raise _bad_name(text, f"it has more than {MAX_NAME_LENGTH} characters", "give the repository a shorter name")
    return ImageReference(host, path, tag or ("" if digest else DEFAULT_TAG), digest)


def _bad_name(text: str, cause: str, hint: str) -> ImageUnavailable:
    return ImageUnavailable(f"{text[:300]!r} is no name of an image", cause=cause, hint=hint)


HUB = "docker.io"
"""The one host of which the grammar itself knows something: its short names, and that its interface is at another host. It
is what a name without a host means in every tool that speaks this grammar; `[registry] default_host` says otherwise."""

HUB_ENDPOINT = "registry-1.docker.io"
HUB_LOGIN = "index.docker.io"
"""Under which `docker login` has always kept the hub's credentials."""


def namespace_of(host: str) -> str:
    """What stands before a one-word name of that host: the hub keeps its own images under `library/`."""
    return "library/" if host == HUB else ""
