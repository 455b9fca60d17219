"""The configuration's YAML files: from a plain directory as it is on disk, or from a branch of a Git repository.

Read are `config.yaml`, `users.yaml`, `teams.yaml` and `pipelines/*.yaml`, nothing else. Symbolic links do not lead outside.
A branch comes through the `Sources` port as a tar, so that whatever can hold code can hold a configuration as well.
"""

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.configuration.marked_yaml import MAX_FILE_BYTES, parse_yaml
from danube_pkg.core.configuration.documents import ConfigurationFiles
from danube_pkg.core.configuration.reading import read_configuration
from danube_pkg.core.errors import Invalid, Permanent, Place
from danube_pkg.core.marked import Findings, Marked
from danube_pkg.core.ports import Source, Sources
from danube_pkg.core.repositories import is_remote
from danube_pkg.core.settings import ConfigRepository

TOP_FILES = ("config.yaml", "users.yaml", "teams.yaml")
PIPELINES = "pipelines"
MAX_FILES = 10_000
MAX_TAR_BYTES = 1024**3
"""A configuration repository may hold other things beside the YAML; a gigabyte of them is a mistake."""


class ConfigurationDirectory:
    """Implements `ConfigurationSource`; `sources` is only asked where the url is a Git repository."""

    def __init__(self, repository: ConfigRepository, sources: Sources) -> None:
        self._repository = repository
        self._sources = sources

    async def read(self) -> ConfigurationFiles:
        url = self._repository.url
        if not is_remote(url) and not _is_repository(Path(url)):
            return await asyncio.to_thread(read_directory, Path(url))
        revision = await self._sources.resolve(url, self._repository.branch)
        source = await self._sources.open(url, revision.commit_sha)
        files = await _files_of(source)
        return _parsed(files, revision.commit_sha, "" if is_remote(url) else url, Findings())


def read_directory(path: Path) -> ConfigurationFiles:
    """What a plain directory says; places are relative to it."""
    findings = Findings()
    if not path.is_dir():
        raise Permanent(
            "configuration-missing", f"there is no configuration directory {path}", hint=f"make it: mkdir -p {path}"
        )
    root = path.resolve()
    names = [name for name in TOP_FILES if (root / name).exists()]
    pipelines = root / PIPELINES
    if pipelines.is_dir():
        entries = sorted(os.listdir(pipelines))
        names += [f"{PIPELINES}/{name}" for name in entries if name.endswith(".yaml") and not name.startswith(".")]
        for name in entries:
            if name.endswith(".yml"):
                findings.add(
                    Place(f"{PIPELINES}/{name}"), "the file would not be read", hint="rename it to end in .yaml"
                )
    files: dict[str, bytes] = {}
    for name in names[:MAX_FILES]:
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            findings.add(
                Place(name), "a symbolic link leads outside the configuration", hint="put the file itself there"
            )
            continue
        if not file.is_file():
            findings.add(Place(name), "this is no regular file", hint="put the file itself there")
            continue
        try:
            with file.open("rb") as opened:
                files[name] = opened.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            findings.add(Place(name), f"the file cannot be read: {error.strerror}", hint="check its mode")
    if len(names) > MAX_FILES:
        findings.add(Place(PIPELINES), f"more than {MAX_FILES} files", hint="write several documents into one file")
    return _parsed(files, "", str(path.absolute()), findings)


def validate_directory(path: Path) -> Sequence[Invalid]:
    """All that is wrong with a configuration directory; empty when a server would apply it."""
    files = read_directory(path)
    findings = Findings()
    findings.extend(files.findings)
    if not files.documents and not findings:
        findings.add(
            Place(str(path)),
            "no configuration is here",
            hint=f"expected are {', '.join(TOP_FILES)} and {PIPELINES}/*.yaml",
        )
        return findings.sorted()
    return read_configuration(files)[1]


def _parsed(files: Mapping[str, bytes], revision: str, base: str, findings: Findings) -> ConfigurationFiles:
    digest = hashlib.sha256()
    documents: list[Marked] = []
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
        documents.extend(parse_yaml(files[name], name, findings))
    return ConfigurationFiles(revision or f"dir-{digest.hexdigest()[:40]}", base, tuple(documents), findings.sorted())


async def _files_of(source: Source) -> Mapping[str, bytes]:
    """The wanted files of a tar stream. Links are not followed: a link's name is then simply not there."""
    collected = bytearray()
    async for chunk in source.stream():
        collected += chunk
        if len(collected) > MAX_TAR_BYTES:
            raise Permanent(
                "configuration-too-large",
                f"the configuration repository holds more than {MAX_TAR_BYTES // 1024**2} MiB",
                hint="keep the configuration in a repository of its own",
            )
    return await asyncio.to_thread(_wanted, bytes(collected))


def _wanted(data: bytes) -> Mapping[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for member in tar:
            directory, _, name = member.name.rpartition("/")
            wanted = member.name in TOP_FILES or (directory == PIPELINES and name.endswith(".yaml"))
            if wanted and member.isfile() and len(files) < MAX_FILES and (file := tar.extractfile(member)) is not None:
                files[member.name] = file.read(MAX_FILE_BYTES + 1)
    return files


def _is_repository(path: Path) -> bool:
    """A work tree or a bare repository: then its branch counts, not what lies on disk."""
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())
