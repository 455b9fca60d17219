"""Images for tests: layers of a few members each, written as an OCI layout, pushed by HTTP or by skopeo."""

import gzip
import hashlib
import http.client
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from backports import zstd

from danube_pkg.core.images.manifests import platform_of

AMD64, ARM64 = "amd64", "arm64"
TIME = 1_600_000_000


@dataclass(frozen=True)
class Entry:
    """A member of a layer. kind: a type flag of tar."""

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    user: int = 0
    group: int = 0
    link: str = ""
    pax: Mapping[str, str] = field(default_factory=dict)


def file(name: str, content: bytes | str = b"", **more: Any) -> Entry:
    return Entry(name, content.encode() if isinstance(content, str) else content, **more)


def directory(name: str, mode: int = 0o755, **more: Any) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE, mode=mode, **more)


def link(name: str, target: str, **more: Any) -> Entry:
    return Entry(name, kind=tarfile.SYMTYPE, mode=0o777, link=target, **more)


def hard_link(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.LNKTYPE, link=target)


def archive(entries: Sequence[Entry]) -> bytes:
    """The entries as an uncompressed tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.type, member.mode, member.linkname = entry.kind, entry.mode, entry.link
            member.uid, member.gid, member.mtime, member.size = entry.user, entry.group, TIME, len(entry.content)
            member.pax_headers = dict(entry.pax)
            tar.addfile(member, io.BytesIO(entry.content))
    return made.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Packed:
    """A compressed layer. diff_id: as it is written into the configuration."""

    data: bytes
    media_type: str
    diff_id: str


@lru_cache(maxsize=16)
def packed(layer: bytes, packing: str = "gzip") -> Packed:
    """A compressed layer. The last few are kept, since most images begin with the same one."""
    base = "application/vnd.oci.image.layer.v1.tar"
    if packing == "gzip":
        return Packed(gzip.compress(layer, 1, mtime=0), f"{base}+gzip", digest(layer))
    if packing == "zstd":
        return Packed(zstd.compress(layer), f"{base}+zstd", digest(layer))
    return Packed(layer, base, digest(layer))


class Layout:
    """An OCI layout in a directory; each image in it has a tag."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blobs = path / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        self._entries: list[dict[str, Any]] = []
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Writes a blob; returns its descriptor."""
        (self._blobs / digest(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def manifest(
        self,
        layers: Sequence[Sequence[Entry] | Packed],
        config: Mapping[str, Any] | None = None,
        *,
        architecture: str = AMD64,
        packing: str = "gzip",
    ) -> dict[str, Any]:
        """Writes an image for one platform; returns the descriptor of its manifest."""
        made = [layer if isinstance(layer, Packed) else packed(archive(layer), packing) for layer in layers]
        configuration = {
            "architecture": architecture,
            "os": "linux",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in made]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob(json.dumps(configuration).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(layer.data, layer.media_type) for layer in made],
        }
        return self.blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")

    def image(self, tag: str, layers: Sequence[Sequence[Entry] | Packed], **more: Any) -> "Layout":
        """Writes an image under a tag; arguments as for `manifest`."""
        self.tag(tag, self.manifest(layers, **more))
        return self

    def index(self, tag: str, manifests: Mapping[str, dict[str, Any]]) -> None:
        """Writes an image for several architectures."""
        entries = [{**entry, "platform": {"architecture": name, "os": "linux"}} for name, entry in manifests.items()]
        document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
        self.tag(tag, self.blob(json.dumps(document).encode(), "application/vnd.oci.image.index.v1+json"))

    def tag(self, name: str, descriptor: dict[str, Any]) -> None:
        self._entries.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        index = {"schemaVersion": 2, "manifests": self._entries}
        (self.path / "index.json").write_text(json.dumps(index))

    def file(self, path: Path) -> Path:
        """The layout as one file."""
        with tarfile.open(path, "w") as tar:
            tar.add(self.path, ".")
        return path


def run(*words: str) -> str:
    """Runs a program, which must succeed; returns its output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def push(layout: Layout, tag: str, name: str) -> None:
    """Pushes all platforms of an image to a registry without an account. name: `127.0.0.1:PORT/path:tag`.

    The requests are those of the distribution specification:
    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
    """
    host, _, rest = name.partition("/")
    repository, _, pushed_tag = rest.rpartition(":")
    with closing(http.client.HTTPConnection(host, timeout=60)) as registry:
        pushing = _Push(registry, f"/v2/{repository}", layout.path / "blobs" / "sha256")
        entries = json.loads((layout.path / "index.json").read_text())["manifests"]
        (entry,) = (one for one in entries if one["annotations"]["org.opencontainers.image.ref.name"] == tag)
        pushing.manifest(entry, pushed_tag)


class _Push:
    """Uploads to one repository. path: of its resources; blobs: the directory of the layout's blobs."""

    def __init__(self, registry: http.client.HTTPConnection, path: str, blobs: Path) -> None:
        self._registry, self._path, self._blobs = registry, path, blobs

    def manifest(self, descriptor: Mapping[str, Any], reference: str) -> None:
        """An index with its manifests, or a manifest with its blobs; what is named is uploaded first."""
        data = self._read(descriptor)
        document = json.loads(data)
        for inner in document.get("manifests", ()):
            self.manifest(inner, inner["digest"])
        for blob in [document["config"], *document["layers"]] if "layers" in document else ():
            self._blob(blob)
        self._ask("PUT", f"{self._path}/manifests/{reference}", data, descriptor["mediaType"])

    def _blob(self, descriptor: Mapping[str, Any]) -> None:
        location = self._ask("POST", f"{self._path}/blobs/uploads/", b"", "")
        sign = "&" if "?" in location else "?"
        place = f"{location}{sign}digest={descriptor['digest']}"
        self._ask("PUT", place, self._read(descriptor), "application/octet-stream")

    def _read(self, descriptor: Mapping[str, Any]) -> bytes:
        return (self._blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes()

    def _ask(self, method: str, place: str, data: bytes, media_type: str) -> str:
        """The location that the answer names."""
        headers = {"Content-Type": media_type} if media_type else {}
        self._registry.request(method, place, data, headers)
        answer = self._registry.getresponse()
        text = answer.read()
        assert answer.status in (201, 202), f"{method} {place}: {answer.status} {text!r}"
        return answer.getheader("Location", "")


def push_by_skopeo(layout: Layout, tag: str, name: str, *words: str) -> None:
    """Pushes all platforms of an image with skopeo. name: `127.0.0.1:PORT/path:tag`."""
    run("skopeo", "--insecure-policy", "copy", "-q", "--all", "--dest-tls-verify=false", *words,
        f"oci:{layout.path}:{tag}", f"docker://{name}")  # fmt: skip


def listing(root: Path) -> list[str]:
    """Path, mode, owner, link target, hard link and content hash of each file below a directory."""
    found: list[str] = []
    first: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(root))
        same = first.setdefault(status.st_ino, name) if status.st_nlink > 1 and not path.is_dir() else ""
        target = str(path.readlink()) if path.is_symlink() else ""
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() and not target else ""
        found.append(f"{name} {status.st_mode:o} {status.st_uid}:{status.st_gid} {target} {same} {content}")
    return found


MACHINE = platform_of("x86_64")
