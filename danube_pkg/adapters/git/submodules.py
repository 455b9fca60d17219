"""Submodules of a commit: the repository and the commit of each path. Runs in the worker process.

A submodule's URL is untrusted: it is never read as a directory of the server, and only with https or ssh, or with the
protocol of the repository itself from the same host.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from dulwich.config import ConfigFile
from dulwich.object_store import BaseObjectStore, tree_lookup_path
from dulwich.objects import Blob, Commit, ObjectID, Tree

from danube_pkg.adapters.git.limits import MAX_SUBMODULES, MAX_WANTED_FILE_BYTES
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.core.repositories.urls import as_url, is_remote, scheme_of
from danube_pkg.kit.records import Record, to_builtins

_LINK = 0o160000
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
    """The submodules of `.gitmodules` for which the commit's tree has an entry. Raises Permanent, TooLarge."""
    commit = objects[ObjectID(commit_sha.encode("ascii"))]
    if not isinstance(commit, Commit):
        return []
    found = []
    for name, path, url in _listed(objects, commit.tree):
        sha = _linked(objects, commit.tree, path)
        if sha:
            found.append(_resolved(name, path, url, sha, repository))
    if len(found) > MAX_SUBMODULES:
        what = f"the commit has more than {MAX_SUBMODULES} submodules"
        raise TooLarge("source-too-large", what, hint="use fewer submodules")
    return found


def _listed(objects: BaseObjectStore, tree_sha: ObjectID) -> Iterator[tuple[str, str, str]]:
    """(name, path, url) of each section of `.gitmodules`. Raises Permanent for a file that cannot be parsed."""
    try:
        _, sha = tree_lookup_path(objects.__getitem__, tree_sha, b".gitmodules")
    except KeyError:
        return
    blob = objects[sha]
    if not isinstance(blob, Blob) or len(blob.data) > MAX_WANTED_FILE_BYTES:
        return
    try:
        config = ConfigFile.from_file(BytesIO(blob.data))
    except ValueError as error:
        raise Permanent(
            "source-unavailable",
            ".gitmodules cannot be read",
            cause=str(error),
            hint="find the mistake with: git config -f .gitmodules -l",
        ) from error
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
