"""Submodules of a commit: the repository and the commit of each path. Runs in the worker process.

A submodule's URL is untrusted: it is never read as a directory of the server, and only with https or ssh, or with the
protocol of the repository itself from the same host.
"""

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from dulwich.config import ConfigFile
from dulwich.object_store import BaseObjectStore, tree_lookup_path
from dulwich.objects import Blob, Commit, ObjectID, Tree

from danube_pkg.adapters.git.limits import MAX_SUBMODULES, MAX_WANTED_FILE_BYTES
from danube_pkg.core.errors import TooLarge
from danube_pkg.core.repositories.urls import as_url, is_remote, scheme_of
from danube_pkg.kit.records import Record, to_builtins

_LINK = 0o160000
MAX_QUOTED = 100
"""Bytes of a line that a notice quotes."""

_RELATIVE = re.compile(r"\.\.?/")


class Submodule(Record):
    """path: in the tree; url: absolute, "" for a submodule that is not fetched, with the reason in `notice`."""

    name: str
    path: str
    url: str
    commit_sha: str
    notice: str = ""

    def fields(self) -> dict[str, Any]:
        """The fields as JSON."""
        found: dict[str, Any] = to_builtins(self)
        return found


def submodules(objects: BaseObjectStore, commit_sha: str, repository: str) -> list[Submodule]:
    """The submodules of `.gitmodules` for which the commit's tree has an entry. Raises TooLarge."""
    commit = objects[ObjectID(commit_sha.encode("ascii"))]
    if not isinstance(commit, Commit):
        return []
    found = []
    data = _gitmodules(objects, commit.tree)
    if (mistake := _mistake(data)) is not None:
        return [Submodule("", ".gitmodules", "", "", f"no submodule is fetched: {mistake}")]
    for name, path, url in _listed(data):
        sha = _linked(objects, commit.tree, path)
        if sha:
            found.append(_resolved(name, path, url, sha, repository))
    if len(found) > MAX_SUBMODULES:
        what = f"the commit has more than {MAX_SUBMODULES} submodules"
        raise TooLarge("source-too-large", what, hint="use fewer submodules")
    return found


def notices_of_local(objects: BaseObjectStore, commit_sha: str, repository: str) -> list[str]:
    """A sentence for each submodule of a repository on this machine: none of them is fetched."""
    try:
        found = submodules(objects, commit_sha, repository)
    except TooLarge as error:
        return [f"no submodule is fetched: {error}"]
    why = "the repository is a directory of the server"
    return [one.notice or f"the submodule {one.path} is not fetched: {why}" for one in found]


def _gitmodules(objects: BaseObjectStore, tree_sha: ObjectID) -> bytes:
    """The content of `.gitmodules`; b"" where there is none, or one that is too long."""
    try:
        _, sha = tree_lookup_path(objects.__getitem__, tree_sha, b".gitmodules")
    except KeyError:
        return b""
    blob = objects[sha]
    return blob.data if isinstance(blob, Blob) and len(blob.data) <= MAX_WANTED_FILE_BYTES else b""


def _mistake(data: bytes) -> str | None:
    """The first line that cannot be parsed, as a sentence; None for a file without a mistake.

    `git clone` takes such a commit, so its job does: only its submodules are missing.
    """
    lines = data.splitlines(keepends=True)
    if _parses(data):
        return None
    number = bisect_left(range(1, len(lines)), True, key=lambda count: not _parses(b"".join(lines[:count]))) + 1
    text = lines[number - 1].strip()[:MAX_QUOTED].decode("utf-8", "replace")
    return f".gitmodules, line {number}, cannot be parsed: {text!r}"


def _parses(data: bytes) -> bool:
    try:
        ConfigFile.from_file(BytesIO(data))
    except ValueError:
        return False
    return True


def _listed(data: bytes) -> Iterator[tuple[str, str, str]]:
    """(name, path, url) of each section."""
    config = ConfigFile.from_file(BytesIO(data))
    for section in config.sections():
        if len(section) != 2 or section[0] != b"submodule":
            continue
        values: Mapping[bytes, bytes] = dict(config.items(section))
        path, url = values.get(b"path", b""), values.get(b"url", b"")
        if path and url:
            yield tuple(one.decode("utf-8", "surrogateescape") for one in (section[1], path, url))  # type: ignore[misc]


def _linked(objects: BaseObjectStore, tree_sha: ObjectID, path: str) -> str:
    """The commit to which the tree's entry at that path links; "" for any other entry."""
    sha = tree_sha
    parts = path.encode("utf-8", "surrogateescape").split(b"/")
    for position, part in enumerate(parts):
        tree = objects[sha]
        if not isinstance(tree, Tree) or part not in tree:
            return ""
        mode, sha = tree[part]
        last = position == len(parts) - 1
        if mode & 0o170000 == _LINK:
            return sha.decode() if last else ""
    return ""


def _resolved(name: str, path: str, url: str, sha: str, repository: str) -> Submodule:
    absolute = _absolute(url, repository)
    if not absolute or not is_remote(absolute):
        return Submodule(name, path, "", sha, f"the submodule {path} is not fetched: {url!r} is not a URL")
    scheme, own = scheme_of(absolute), as_url(repository)
    same = is_remote(repository) and scheme == scheme_of(repository) and _host(absolute) == _host(own)
    if scheme not in ("https", "ssh") and not same:
        notice = f"the submodule {path} is not fetched: {scheme} is allowed for the repository's own host only"
        return Submodule(name, path, "", sha, notice)
    return Submodule(name, path, absolute, sha)


def _host(url: str) -> str:
    return urlsplit(as_url(url)).netloc.rpartition("@")[2].lower()


def _absolute(url: str, repository: str) -> str:
    """`../other.git` is relative to the repository's own URL, as in git; "" where it would leave the host."""
    if not _RELATIVE.match(url):
        return url
    if not is_remote(repository):
        return ""
    parts = urlsplit(as_url(repository))
    path = posixpath.normpath(posixpath.join(parts.path.rstrip("/"), url))
    if path in ("/", ".", "..") or path.startswith("../"):
        return ""
    return parts._replace(path=path).geturl()
