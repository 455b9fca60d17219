"""Single files of a commit or of a directory, without the whole tree. Runs in the worker process."""

import base64
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tree

from danube_pkg.adapters.git.limits import MAX_WANTED_FILE_BYTES, MAX_WANTED_FILES
from danube_pkg.core.errors import Permanent, TooLarge

_LINK, _FILE, _DIRECTORY = 0o120000, 0o100000, 0o040000


def read_files(objects: BaseObjectStore, commit_sha: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each file as JSON: name, data in base64 (cut at its bound), size, whether it is a link.

    names: paths; `directory/*.yaml` stands for all such files of a directory, and `directory/*/` before it for
    each directory inside. Links are returned, not followed. Raises
    Permanent, TooLarge.
    """
    commit = objects[ObjectID(commit_sha.encode("ascii"))]
    if not isinstance(commit, Commit):
        raise Permanent("source-unavailable", f"{commit_sha} is not a commit", hint="name a branch, a tag or a commit")
    count = 0
    for name in _in_directories(objects, commit.tree, names):
        directory, _, last = name.rpartition("/")
        tree = _tree(objects, commit.tree, directory)
        if tree is None:
            continue
        for entry in tree.iteritems():
            found = (entry.path or b"").decode("utf-8", "surrogateescape")
            wanted = found.endswith(last[1:]) and not found.startswith(".") if last.startswith("*") else found == last
            mode = (entry.mode or 0) & 0o170000
            if not wanted or mode not in (_LINK, _FILE) or entry.sha is None:
                continue
            count += 1
            if count > MAX_WANTED_FILES:
                raise TooLarge(
                    "source-too-large",
                    f"more than {MAX_WANTED_FILES} files match {name}",
                    hint="write several documents into one file",
                )
            yield _described(objects, f"{directory}/{found}" if directory else found, entry.sha, mode == _LINK)


def _in_directories(objects: BaseObjectStore, root: ObjectID, names: Sequence[str]) -> Iterator[str]:
    """The names, those below `directory/*/` for each directory inside."""
    for name in names:
        directory, star, last = name.partition("/*/")
        if not star:
            yield name
            continue
        tree = _tree(objects, root, directory)
        for entry in tree.iteritems() if tree is not None else ():
            if (entry.mode or 0) & 0o170000 == _DIRECTORY:
                yield f"{directory}/{(entry.path or b'').decode('utf-8', 'surrogateescape')}/{last}"


def read_directory_files(root: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The same for a plain directory as it is on disk; names that lead out of it, or through a link, are left out."""
    for name in names:
        parts = name.split("/")
        if ".." in parts or name.startswith("/"):
            continue
        path = root.joinpath(*parts)
        if any((root.joinpath(*parts[:count])).is_symlink() for count in range(1, len(parts))):
            continue
        if path.is_symlink():
            target = os.fsencode(os.readlink(path))
            yield {"name": name, "data": base64.b64encode(target).decode(), "size_bytes": len(target), "is_link": True}
        elif path.is_file():
            with path.open("rb") as file:
                data = file.read(MAX_WANTED_FILE_BYTES + 1)
                size = os.fstat(file.fileno()).st_size
            yield {"name": name, "data": base64.b64encode(data).decode(), "size_bytes": size, "is_link": False}


def _tree(objects: BaseObjectStore, sha: ObjectID, directory: str) -> Tree | None:
    tree = objects[sha]
    for part in directory.encode("utf-8", "surrogateescape").split(b"/") if directory else ():
        if not isinstance(tree, Tree) or part not in tree:
            return None
        mode, inner = tree[part]
        if mode & 0o170000 != _DIRECTORY:
            return None
        tree = objects[inner]
    return tree if isinstance(tree, Tree) else None


def _described(objects: BaseObjectStore, name: str, sha: ObjectID, is_link: bool) -> dict[str, Any]:
    blob = objects[sha]
    if not isinstance(blob, Blob):
        raise Permanent("source-unavailable", f"{name} is not a file", hint="check the repository with: git fsck")
    data = blob.data[: MAX_WANTED_FILE_BYTES + 1]
    return {
        "name": name,
        "data": base64.b64encode(data).decode(),
        "size_bytes": len(blob.data),
        "is_link": is_link,
    }
