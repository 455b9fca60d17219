"""The configuration's YAML files, read from a plain directory on disk or from a branch of a Git repository.

Only `config.yaml`, `users.yaml`, `teams.yaml` and `pipelines/*.yaml` are read; names that are probably meant to be one
of these are findings. A symbolic link that leads outside the
directory is refused; in a commit no link is followed.
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
UNREAD_NAMES = ("config.yml", "users.yml", "teams.yml", "user.yaml", "team.yaml", "user.yml", "team.yml")
"""Names that are meant to be one of TOP_FILES. They are reported, since a server without its teams locks users out."""
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 64 * 1024**2
"""The size of all files together; ten thousand pipelines have ten MiB."""


class Repositories(Sources, SourceFiles, Protocol):
    """The ports through which a configuration in Git is read."""


class ConfigurationDirectory:
    """`core.configuration.ports.ConfigurationSource`. sources: used only where the URL is a Git repository."""

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
        suffixes = (".yaml", ".yml")
        wanted = [*TOP_FILES, *UNREAD_NAMES, *(f"{PIPELINES}/{one}{end}" for end in suffixes for one in ("*", "*/*"))]
        found = await self._sources.read_files(url, revision.commit_sha, wanted)
        return await asyncio.to_thread(_read_commit, found, revision.commit_sha, self._base)

    def parse(self, files: Mapping[str, bytes]) -> ConfigurationFiles:
        """Parse files that a client sent. Files with other names are left out, as they are in the repository."""
        wanted = {name: data for name, data in files.items() if _is_wanted(name)}
        return _parsed(wanted, "", self._base, Findings())

    @property
    def _base(self) -> str:
        """The directory from which relative repositories start; "" for a configuration that is not on this machine."""
        return "" if is_remote(self._repository.url) else self._repository.url


def read_directory(path: Path) -> ConfigurationFiles:
    """The configuration in a plain directory; places are relative to it. Raises Permanent without such a directory."""
    files, findings = _files_below(path)
    return _parsed(files, "", str(path.absolute()), findings)


def validate_directory(path: Path) -> Sequence[Invalid]:
    """All findings about a configuration directory; empty where a server would apply it."""
    files = read_directory(path)
    findings = Findings()
    findings.extend(files.findings)
    if not files.documents and not findings:
        findings.add(
            SourceLocation(str(path)),
            "this directory has no configuration",
            hint=f"add {', '.join(TOP_FILES)} or {PIPELINES}/*.yaml; create a first one with: danube init --config",
        )
        return findings.sorted()
    return read_configuration(files)[1]


def configuration_files(path: Path) -> Mapping[str, bytes]:
    """The content of the files of a configuration directory, to be sent to a server."""
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
            "configuration-missing", f"there is no configuration directory {path}", hint=f"create it: mkdir -p {path}"
        )
    root = path.resolve()
    names = [name for name in (*TOP_FILES, *UNREAD_NAMES) if os.path.lexists(root / name)]
    if (root / PIPELINES).is_dir():
        inner = sorted(os.listdir(root / PIPELINES))
        names += [f"{PIPELINES}/{name}" for name in inner if _is_yaml(name)]
        names += [name for one in inner[:MAX_FILES] for name in _nested(root, f"{PIPELINES}/{one}")]
    files: dict[str, bytes] = {}
    for name in _at_most(names, findings):
        try:
            file = (root / name).resolve()
        except (OSError, RuntimeError):  # RuntimeError: a link that leads to itself
            findings.add(SourceLocation(name), "this link leads nowhere", hint="replace it by a file")
            continue
        if not file.is_relative_to(root):
            findings.add(
                SourceLocation(name),
                "a symbolic link leads outside the configuration",
                hint="replace it by the file",
            )
        elif not file.is_file():
            findings.add(SourceLocation(name), "this is not a regular file", hint="replace it by a file")
        else:
            try:
                with file.open("rb") as opened:
                    files[name] = opened.read(MAX_FILE_BYTES + 1)
            except OSError as error:
                findings.add(
                    SourceLocation(name), f"the file cannot be read: {error.strerror}", hint="check its permissions"
                )
    return files, findings


def _nested(root: Path, directory: str) -> list[str]:
    """The YAML files of a directory below `pipelines/`."""
    path = root / directory
    if path.is_symlink() or not path.is_dir():
        return []
    try:
        return [f"{directory}/{name}" for name in sorted(os.listdir(path))[:MAX_FILES] if _is_yaml(name)]
    except OSError:
        return [f"{directory}/*.yaml"]  # it cannot be listed, and what it has is not read either


def _read_commit(found: Sequence[SourceFile], revision: str, base: str) -> ConfigurationFiles:
    findings = Findings()
    known = {file.name: file for file in found}
    files: dict[str, bytes] = {}
    for name in _at_most(sorted(known), findings):
        if known[name].is_link:
            findings.add(
                SourceLocation(name), "a symbolic link is not followed in a commit", hint="replace it by the file"
            )
        else:
            files[name] = known[name].data
    return _parsed(files, revision, base, findings)


def _at_most(names: Sequence[str], findings: Findings) -> Iterable[str]:
    """The names of files to read. Names that end in .yml or are in another place, which are not read, and too many
    names are findings."""
    for name in names:
        if name not in TOP_FILES and "/" not in name:
            stem = name.partition(".")[0]
            hint = f"rename it: {next(one for one in TOP_FILES if one.startswith(stem))}"
            findings.add(SourceLocation(name), "this file is not read", hint=hint)
        elif name.count("/") > 1:
            hint = f"only the files of {PIPELINES}/ itself are read: move it there"
            findings.add(SourceLocation(name), "this file is not read", hint=hint)
        elif name.endswith(".yml"):
            findings.add(SourceLocation(name), "this file is not read", hint="rename it to end in .yaml")
    wanted = [name for name in names if _is_wanted(name)]
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
    """The revision of files that are not in a commit."""
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
            findings.add(SourceLocation(name), what, hint="use several servers")
            break
        try:
            found = parse_yaml(files[name], name, findings)
            texts |= document_texts(files[name], found)
        except Exception as error:  # noqa: BLE001 - whatever a file holds, the others are read and the server starts
            findings.add_defect(SourceLocation(name), error)
        else:
            documents.extend(found)
    revision = revision or _digest(files)
    return ConfigurationFiles(revision, base, tuple(documents), findings.sorted(), _timezones(), texts)


@cache
def _timezones() -> frozenset[str]:
    """The time zones that this machine knows; empty without a time zone database, so that they are not checked."""
    return frozenset(zoneinfo.available_timezones())


def _is_repository(path: Path) -> bool:
    """Whether it is a work tree or a bare repository, of which a branch is read and not the files on disk."""
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())
