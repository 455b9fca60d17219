"""Directories as they are on disk: a plain one with all its files, a working tree as Git sees it.

A working tree consists of its tracked files, as they are now, and of untracked files that are not ignored (by nested
.gitignore files, .git/info/exclude and the user's own excludes). It gets a shallow `.git` of its HEAD, so that `git
status` shows the same changes in the pod as outside; `.git` itself is never copied.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from dulwich.ignore import IgnoreFilterManager
from dulwich.refs import HEADREF
from dulwich.repo import Repo

from danube_pkg.adapters.git.checkout import Checkout
from danube_pkg.adapters.git.limits import MAX_FILES
from danube_pkg.adapters.git.refs import open_local, resolve_local
from danube_pkg.adapters.git.tree_tar import TreeTar
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.core.repositories.revisions import Revision


def write_directory(path: Path, tar: TreeTar) -> None:
    """All files of a plain directory, without a `.git` at its top."""
    for name in _walk(path, None):
        tar.add_path(name, path / name)


def working_revision(path: Path) -> Revision:
    """HEAD of the working tree; an empty revision outside a repository and before the first commit."""
    repo = open_local(path)
    if repo is None:
        return Revision("")
    with repo:
        return resolve_local(repo, "", str(path)) if _has_head(repo) else Revision("")


def origin_url(path: Path) -> str:
    """The URL of the remote `origin`; "" where there is none."""
    repo = open_local(path)
    if repo is None:
        return ""
    with repo:
        try:
            return repo.get_config().get((b"remote", b"origin"), b"url").decode("utf-8", "replace")
        except KeyError:
            return ""


def write_working_tree(path: Path, tar: TreeTar, temporary: Path) -> None:
    """Tracked and untracked files as they are, without those that Git ignores, and a shallow `.git`."""
    repo = open_local(path)
    if repo is None:
        write_directory(path, tar)
        return
    with repo:
        tracked = _tracked(repo)
        untracked = set(_walk(path, IgnoreFilterManager.from_repo(repo)))
        directories: set[str] = set()
        for name in sorted(tracked | untracked):
            # A tracked file that was deleted on disk is left out; one that vanishes while it is read is an error.
            if name in tracked and not os.path.lexists(path / name):
                continue
            for parent in _new_parents(name, directories):
                tar.add_path(parent, path / parent)
            if name not in directories:
                tar.add_path(name, path / name)
        if _has_head(repo):
            head = resolve_local(repo, "", str(path))
            Checkout(repo.object_store, head.commit_sha, temporary, files=False).write(tar, branch=head.branch)


def state_of_files(path: Path) -> Mapping[str, tuple[int, int]]:
    """Time and size of each file of a working tree, or of a plain directory. Raises as `write_directory`."""
    repo = open_local(path)
    if repo is None:
        names = set(_walk(path, None))
    else:
        with repo:
            names = _tracked(repo) | set(_walk(path, IgnoreFilterManager.from_repo(repo)))
    found = {}
    for name in names:
        with contextlib.suppress(OSError):  # a tracked file that is deleted, or one that vanishes meanwhile
            state = os.lstat(path / name)
            if not stat.S_ISDIR(state.st_mode):
                found[name] = state.st_mtime_ns, state.st_size
    return found


def _tracked(repo: Repo) -> set[str]:
    return {name.decode("utf-8", "surrogateescape") for name in repo.open_index()}


def _has_head(repo: Repo) -> bool:
    return HEADREF in repo.refs.as_dict()


def _new_parents(name: str, known: set[str]) -> Iterator[str]:
    """The directories above a name that are not in `known` yet, outermost first; adds them to it."""
    parts = name.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        parent = "/".join(parts[:count])
        if parent not in known:
            known.add(parent)
            yield parent


def _walk(root: Path, ignores: IgnoreFilterManager | None) -> Iterator[str]:
    """Relative names below a directory, sorted, directories before their content; links are not followed.

    With `ignores`, names that Git ignores are left out with everything below them, and so is each nested `.git`.
    """
    pending = [""]
    count = 0
    while pending:
        directory = pending.pop()
        inner: list[str] = []
        for entry in _entries(root / directory, directory):
            name = f"{directory}/{entry.name}" if directory else entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git" and (ignores is not None or not directory):
                continue
            if ignores is not None and ignores.is_ignored(f"{name}/" if is_directory else name):
                continue
            count += 1
            if count > MAX_FILES:
                raise TooLarge(
                    "source-too-large",
                    f"{root} has more than {MAX_FILES} files",
                    hint="is it the right directory? In a Git repository, list build output in .gitignore",
                )
            if is_directory:
                inner.append(name)
            if ignores is None or not is_directory:
                yield name
        pending.extend(reversed(inner))


def _entries(path: Path, name: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError as error:
        raise Permanent(
            "source-unavailable",
            f"the directory {name or str(path)!r} cannot be read",
            cause=error.strerror or "",
            hint=f"let Danube's user read it: chmod a+rx {path}",
        ) from error
    except FileNotFoundError as error:
        raise Permanent("source-unavailable", f"there is no directory {path}", hint="check the path") from error
