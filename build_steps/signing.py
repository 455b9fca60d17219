"""The checksums and the signed provenance of what is in `dist/`.

`SHA256SUMS` names each released file; `SHA256SUMS.sig` is its Ed25519 signature, 64 bytes, for verifiers that have
OpenSSL and nothing else. `NAME.intoto.jsonl` is the statement about one file (docs/buildtypes/release-v1.md).
"""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of_package
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from build_steps.staging import ROOT
from danube_pkg.adapters.keys.signing import signed_envelope
from danube_pkg.core.provenance.release import ReleasedFile, release_statement
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.kit.digests import digest_of_file
from danube_pkg.kit.records import Record

SUMS = "SHA256SUMS"

KINDS = {"danube-linux-": "binary", "danube-image-": "image", "danube-cp": "zipapp", SUMS: "checksums"}
"""Beginning of a file's name → its kind in provenance."""

_SBOM = ".cdx.json"
_MADE_HERE = (".intoto.jsonl", ".sig", ".new")


class SourceUnclear(Exception):
    """What was built cannot be named; the message says why."""


class Source(Record):
    """The commit that was built."""

    repository: str
    ref: str
    commit_sha: str


def released_files(dist: Path) -> Sequence[Path]:
    """The files that a release has, without checksums and signatures, by name."""
    found = [path for path in dist.iterdir() if path.is_file() and not path.name.endswith(_MADE_HERE)]
    return sorted(path for path in found if path.name != SUMS and _kind_of(path.name))


def write_checksums(dist: Path) -> Path:
    """In the form that `sha256sum --check` reads."""
    target = dist / SUMS
    lines = [f"{digest_of_file(path).sha256}  {path.name}\n" for path in released_files(dist)]
    target.write_text("".join(lines))
    return target


def sign_release(dist: Path, key: Ed25519PrivateKey, source: Source, version: str) -> Sequence[Path]:
    """Write the provenance of each file and of the checksums, and their signature; returns what was written."""
    written = []
    for path in [*released_files(dist), dist / SUMS]:
        statement = release_statement(_described(path, source, version))
        target = path.with_name(f"{path.name}.intoto.jsonl")
        target.write_bytes(signed_envelope(key, statement).encode() + b"\n")
        written.append(target)
    signed = dist / f"{SUMS}.sig"
    signed.write_bytes(key.sign((dist / SUMS).read_bytes()))
    return [*written, signed]


def source_of(root: Path, environment: Mapping[str, str] = os.environ) -> Source:
    """The commit of a checkout, else of the Danube job that this runs in. Raises SourceUnclear."""
    if not (root / ".git").exists():
        commit = environment.get("DANUBE_COMMIT", "")
        if not commit:
            raise SourceUnclear(f"{root} has no .git\n  hint: build from a clone, or in a Danube job")
        return Source(without_login(environment["DANUBE_REPOSITORY"]), environment.get("DANUBE_REF", ""), commit)
    if changed := _git(root, "status", "--porcelain"):
        first = changed.splitlines()[0]
        raise SourceUnclear(
            f"the tree is not that of its commit: {first}\n  hint: commit, or: git stash --include-untracked"
        )
    tag = _git(root, "tag", "--points-at", "HEAD").splitlines()
    remote = _git(root, "config", "--default", f"file://{root}", "--get", "remote.origin.url")
    return Source(without_login(remote), f"refs/tags/{tag[0]}" if tag else "", _git(root, "rev-parse", "HEAD"))


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _kind_of(name: str) -> str:
    if name.endswith(_SBOM):
        return "sbom"
    return next((kind for beginning, kind in KINDS.items() if name.startswith(beginning)), "")


def _described(path: Path, source: Source, version: str) -> ReleasedFile:
    locks = sorted([*ROOT.glob("requirements*.lock"), ROOT / "web" / "package-lock.json"])
    return ReleasedFile(
        name=path.name,
        sha256=digest_of_file(path).sha256,
        artifact=_kind_of(path.name),
        version=version,
        architecture=next((one for one in ("x86_64", "aarch64") if one in path.name), ""),
        repository=source.repository,
        ref=source.ref,
        commit_sha=source.commit_sha,
        materials={str(lock.relative_to(ROOT)): digest_of_file(lock).sha256 for lock in locks},
        tools={"python": platform.python_version(), "ziglang": _version("ziglang")},
    )


def _version(package: str) -> str:
    try:
        return version_of_package(package)
    except PackageNotFoundError:
        return ""
