"""The configuration's YAML files: from a plain directory as it is on disk, or from a branch of a Git repository.

Read are `config.yaml`, `users.yaml`, `teams.yaml` and `pipelines/*.yaml`, nothing else. Symbolic links do not lead outside a
directory, and are not followed at all in a commit.
"""

import asyncio
import hashlib
import os
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from danube_pkg.adapters.configuration.marked_yaml import MAX_FILE_BYTES, document_texts, parse_yaml
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.documents.marked import Findings, Marked
from danube_pkg.core.errors import Invalid, Permanent, SourceLocation
from danube_pkg.core.repositories.ports import SourceFiles, Sources
from danube_pkg.core.repositories.revisions import SourceFile
from danube_pkg.core.repositories.urls import is_remote

TOP_FILES = ("config.yaml", "users.yaml", "teams.yaml")
PIPELINES = "pipelines"
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 64 * 1024**2
"""Of all files together: ten thousand pipelines have ten."""


class Repositories(Sources, SourceFiles, Protocol):
    """What a configuration in Git is read through."""


class ConfigurationDirectory:
    """Implements `ConfigurationSource`; `sources` is only asked where the url is a Git repository."""

    def __init__(self, repository: ConfigRepository, sources: Repositories) -> None:
        self._repository = repository
        self._sources = sources

    async def read(self, unless: str = "") -> ConfigurationFiles | None:
        url = self._repository.url
        if not is_remote(url) and not _is_repository(Path(url)):
            return await asyncio.to_thread(_read_directory, Path(url), unless)
        revision = await self._sources.resolve(url, self._repository.branch)
        if revision.commit_sha == unless:
            return None
        wanted = [*TOP_FILES, f"{PIPELINES}/*.yaml", f"{PIPELINES}/*.yml"]
        found = await self._sources.read_files(url, revision.commit_sha, wanted)
        return await asyncio.to_thread(_read_commit, found, revision.commit_sha, self._base)

    def parse(self, files: Mapping[str, bytes]) -> ConfigurationFiles:
        """Files that somebody sent; names that are none of a configuration's are left out, as they would be in the repository."""
        wanted = {name: data for name, data in files.items() if _is_wanted(name)}
        return _parsed(wanted, "", self._base, Findings())

    @property
    def _base(self) -> str:
        """Relative repositories count from it; "" for a configuration that lies on another machine."""
        return "" if is_remote(self._repository.url) else self._repository.url


def read_directory(path: Path) -> ConfigurationFiles:
    """What a plain directory says; places are relative to it. Raises Permanent where there is none."""
    files, findings = _files_below(path)
    return _parsed(files, "", str(path.absolute()), findings)


def validate_directory(path: Path) -> Sequence[Invalid]:
    """All that is wrong with a configuration directory; empty when a server would apply it."""
    files = read_directory(path)
    findings = Findings()
    findings.extend(files.findings)
    if not files.documents and not findings:
        findings.add(
            SourceLocation(str(path)),
            "no configuration is here",
            hint=f"expected are {', '.join(TOP_FILES)} and {PIPELINES}/*.yaml; a starter is made by: danube init --config",
        )
        return findings.sorted()
    return read_configuration(files)[1]


def configuration_files(path: Path) -> Mapping[str, bytes]:
    """The files of a configuration directory as they are, for a server that is asked about them."""
    return _files_below(path)[0]


def is_configuration(path: Path) -> bool:
    """Whether a directory looks like a configuration repository."""
    return any((path / name).exists() for name in TOP_FILES) or (path / PIPELINES).is_dir()


def _read_directory(path: Path, unless: str) -> ConfigurationFiles | None:
    files, findings = _files_below(path)
    return None if _digest(files) == unless else _parsed(files, "", str(path.absolute()), findings)


def _files_below(path: Path) -> tuple[dict[str, bytes], Findings]:
    findings = Findings()
    if not path.is_dir():
        raise Permanent(
            "configuration-missing", f"there is no configuration directory {path}", hint=f"make it: mkdir -p {path}"
        )
    root = path.resolve()
    names = [name for name in TOP_FILES if os.path.lexists(root / name)]
    if (root / PIPELINES).is_dir():
        names += [f"{PIPELINES}/{name}" for name in sorted(os.listdir(root / PIPELINES)) if _is_yaml(name)]
    files: dict[str, bytes] = {}
    for name in _at_most(names, findings):
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            findings.add(
                SourceLocation(name),
                "a symbolic link leads outside the configuration",
                hint="put the file itself there",
            )
        elif not file.is_file():
            findings.add(SourceLocation(name), "this is no regular file", hint="put the file itself there")
        else:
            try:
                with file.open("rb") as opened:
                    files[name] = opened.read(MAX_FILE_BYTES + 1)
            except OSError as error:
                findings.add(SourceLocation(name), f"the file cannot be read: {error.strerror}", hint="check its mode")
    return files, findings


def _read_commit(found: Sequence[SourceFile], revision: str, base: str) -> ConfigurationFiles:
    findings = Findings()
    known = {file.name: file for file in found}
    files: dict[str, bytes] = {}
    for name in _at_most(sorted(known), findings):
        if known[name].is_link:
            findings.add(
                SourceLocation(name), "a symbolic link is not followed in a commit", hint="put the file itself there"
            )
        else:
            files[name] = known[name].data
    return _parsed(files, revision, base, findings)


def _at_most(names: Sequence[str], findings: Findings) -> Iterable[str]:
    """The names that are read; one that would be forgotten, or too many, is a finding."""
    for name in names:
        if name.endswith(".yml"):
            findings.add(SourceLocation(name), "the file would not be read", hint="rename it to end in .yaml")
    wanted = [name for name in names if name.endswith(".yaml")]
    if len(wanted) > MAX_FILES:
        findings.add(
            SourceLocation(PIPELINES), f"more than {MAX_FILES} files", hint="write several documents into one file"
        )
    return wanted[:MAX_FILES]


def _is_yaml(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) and not name.startswith(".")


def _is_wanted(name: str) -> bool:
    directory, _, last = name.rpartition("/")
    return name in TOP_FILES or (directory == PIPELINES and last.endswith(".yaml") and not last.startswith("."))


def _digest(files: Mapping[str, bytes]) -> str:
    """The revision of files that no commit names."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return f"dir-{digest.hexdigest()[:40]}"


def _parsed(files: Mapping[str, bytes], revision: str, base: str, findings: Findings) -> ConfigurationFiles:
    documents: list[Marked] = []
    texts: dict[SourceLocation, str] = {}
    total = 0
    for name in sorted(files):
        total += len(files[name])
        if total > MAX_TOTAL_BYTES:
            what = f"all files together have more than {MAX_TOTAL_BYTES // 1024**2} MiB"
            findings.add(SourceLocation(name), what, hint="divide them among several servers")
            break
        found = parse_yaml(files[name], name, findings)
        documents.extend(found)
        texts |= document_texts(files[name], found)
    revision = revision or _digest(files)
    return ConfigurationFiles(revision, base, tuple(documents), findings.sorted(), _timezones(), texts)


@cache
def _timezones() -> frozenset[str]:
    """Names that this machine knows; none where it has no time zone database, and then they are not checked."""
    return frozenset(zoneinfo.available_timezones())


def _is_repository(path: Path) -> bool:
    """A work tree or a bare repository: then its branch counts, not what lies on disk."""
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())
