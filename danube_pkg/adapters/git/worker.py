"""The program of a worker process, which works with Git for the server: requests on standard input, one a line, each
answered before the next is read. All of them are about one job's repository, or about one question.

A request is a JSON object with `do`, and for a remote repository with `remote` (`RemoteSettings`, with credentials).
The answer is a line of JSON; `stream` and `working-tree` answer with a tar, and end the process. An error ends it too:
a JSON object in the last line of standard error, with exit code 1; notices for users are lines before it.
"""

import encodings.idna
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import dulwich.trailers
import dulwich.worktree
import urllib3
from dulwich.object_store import BaseObjectStore
from dulwich.objects import ObjectID

from danube_pkg.adapters.git import refs, working_tree
from danube_pkg.adapters.git.changes import changed_paths
from danube_pkg.adapters.git.checkout import Checkout, Nested, peeled
from danube_pkg.adapters.git.commits import commit_metadata, commit_text
from danube_pkg.adapters.git.fetch import fetch, open_mirror
from danube_pkg.adapters.git.files import read_directory_files, read_files
from danube_pkg.adapters.git.job_history import history_of, request_history
from danube_pkg.adapters.git.limits import NOTICE
from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.adapters.git.submodules import notices_of_local, submodules
from danube_pkg.adapters.git.tags import GitTag, tag_to
from danube_pkg.adapters.git.tree_tar import TreeTar
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.repositories.urls import is_remote, without_login
from danube_pkg.kit.records import to_builtins

PRELOADED = (dulwich.trailers, dulwich.worktree, urllib3, encodings.idna)
"""What dulwich imports with its first use, four fifths of a worker's time. The fork server has it before it forks."""

Request = Mapping[str, Any]


def main() -> int:
    """Answer requests until there are no more; the result is the exit code, 1 for an error."""
    # Standard output is redirected, so that nothing that a library prints gets into the answer.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            _answer(request, output)
            if request["do"] in _STREAMS:
                break
            output.write(b"\n")
            output.flush()
        output.close()
    except PlatformError as error:
        sys.stderr.write("\n" + json.dumps({"kind": type(error).__name__, **_fields(error)}) + "\n")
        return 1
    except BrokenPipeError:
        # The server has stopped reading.
        return 1
    return 0


def _answer(request: Request, output: IO[bytes]) -> None:
    action = _ACTIONS.get(request["do"])
    if action is None:
        raise ValueError(f"unknown request {request['do']!r}")
    action(request, output)


def _resolve(request: Request, output: IO[bytes]) -> None:
    remote = RemoteSettings.from_request(request["remote"]) if "remote" in request else RemoteSettings()
    found = refs.resolve(request["repository"], request["ref"], remote)
    output.write(json.dumps({"revision": to_builtins(found.revision), "peel": found.peel}).encode())


def _fetch(request: Request, output: IO[bytes]) -> None:
    """Fetch a commit, or a tag's commit, into the mirror; the answer is its hash, its metadata and its submodules, with
    `tag` also the hash of what that tag names."""
    remote = RemoteSettings.from_request(request["remote"])
    url, sha = request["repository"], request["commit_sha"]
    with fetch(url, sha, Path(request["mirror"]), remote) as repo:
        commit = peeled(repo.object_store, ObjectID(sha.encode("ascii")))
        found = [one.fields() for one in submodules(repo.object_store, commit.decode(), url)]
        metadata = commit_metadata(repo.object_store, commit)
        answer = {"commit_sha": commit.decode(), "metadata": metadata, "submodules": found, "notices": []}
        if request.get("history"):
            answer |= request_history(url, commit, request["history"], remote, repo)
    if request.get("tag"):
        answer["tag_sha"], notices = _fetch_tag(request, commit.decode(), remote)
        answer["notices"] = [*answer["notices"], *notices]
    output.write(json.dumps(answer).encode())


def _fetch_tag(request: Request, commit_sha: str, remote: RemoteSettings) -> tuple[str, list[str]]:
    """The hash of what a tag names now, fetched into the mirror; that of the commit, with a notice, where the tag
    cannot be read."""
    tag = request["tag"]
    try:
        sha = refs.remote_tag(request["repository"], tag, remote)
        fetch(request["repository"], sha, Path(request["mirror"]), remote).close()
    except PlatformError as error:
        return commit_sha, [f"the tag {tag} could not be read, and is written as a name of the commit: {error}"]
    return sha, []


def _heads(request: Request, output: IO[bytes]) -> None:
    """The branches and tags of a remote repository."""
    found = refs.heads(request["repository"], RemoteSettings.from_request(request["remote"]))
    output.write(json.dumps({"heads": [[one.ref, one.sha, one.commit_sha] for one in found]}).encode())


def _files(request: Request, output: IO[bytes]) -> None:
    """Read single files; a remote repository's commit is fetched first where it is missing."""
    if "remote" in request:
        remote = RemoteSettings.from_request(request["remote"])
        fetch(request["repository"], request["commit_sha"], Path(request["mirror"]), remote).close()
    with _objects(request) as objects:
        if objects is None:
            found = list(read_directory_files(Path(request["repository"]), request["names"]))
        else:
            found = list(read_files(objects, request["commit_sha"], request["names"]))
    output.write(json.dumps({"files": found}).encode())


def _changes(request: Request, output: IO[bytes]) -> None:
    """The paths that differ between two commits, which are fetched first where they are missing."""
    commits = (request["before"], request["after"])
    if "remote" in request:
        remote = RemoteSettings.from_request(request["remote"])
        for sha in commits:
            fetch(request["repository"], sha, Path(request["mirror"]), remote).close()
    with _objects({**request, "commit_sha": request["after"]}) as objects:
        found = changed_paths(objects, *commits) if objects is not None else None
    output.write(json.dumps({"changed": found}).encode())


def _text(request: Request, output: IO[bytes]) -> None:
    """A commit's message and author; the commit is fetched first where it is missing."""
    sha = request["commit_sha"]
    if "remote" in request:
        remote = RemoteSettings.from_request(request["remote"])
        fetch(request["repository"], sha, Path(request["mirror"]), remote).close()
    with _objects(request) as objects:
        found = {"message": "", "author": ""}
        if objects is not None:
            found = commit_text(objects, peeled(objects, ObjectID(sha.encode("ascii"))))
    output.write(json.dumps(found).encode())


def _stream(request: Request, output: IO[bytes]) -> None:
    tar = TreeTar(output)
    with ExitStack() as stack:
        objects = stack.enter_context(_objects(request))
        if objects is None:
            working_tree.write_directory(Path(request["repository"]), tar)
        else:
            checkout = _checkout(objects, request, Path(request["directory"]), stack)
            repository = request["repository"]
            tag = _tag_of(objects, request)
            history = history_of(objects, request)
            origin = without_login(repository) if is_remote(repository) else ""
            checkout.write(tar, origin=origin, tag=tag, history=history)
            missing = [] if "mirror" in request else notices_of_local(objects, request["commit_sha"], repository)
            for notice in (*missing, *checkout.notices):
                sys.stderr.write(f"{NOTICE}{json.dumps(notice)}\n")
    tar.close()


def _checkout(objects: BaseObjectStore, request: Request, temporary: Path, stack: ExitStack) -> Checkout:
    nested = {}
    for one in request.get("submodules", ()):
        inner = stack.enter_context(open_mirror(Path(one["mirror"]))).object_store
        checkout = _checkout(inner, one, temporary, stack)
        nested[one["path"]] = Nested(one["name"], without_login(one["url"]), checkout)
    return Checkout(objects, request["commit_sha"], temporary, submodules=nested)


def _tag_of(objects: BaseObjectStore, request: Request) -> GitTag | None:
    """The tag that led to the commit; it names the commit itself where the repository's tag is another's by now."""
    if not (name := request.get("tag")):
        return None
    sha = request.get("tag_sha") or refs.local_tag(Path(request["repository"]), name) or request["commit_sha"]
    return tag_to(objects, name, sha, request["commit_sha"])


@contextmanager
def _objects(request: Request) -> Iterator[BaseObjectStore | None]:
    """The objects of a mirror or of a repository on this machine; None for a plain directory."""
    if mirror := request.get("mirror"):
        with open_mirror(Path(mirror)) as repo:
            yield repo.object_store
        return
    local = refs.open_local(Path(request["repository"])) if request["commit_sha"] else None
    if local is None:
        yield None
        return
    with local:
        yield local.object_store


def _working_revision(request: Request, output: IO[bytes]) -> None:
    output.write(json.dumps(to_builtins(working_tree.working_revision(Path(request["repository"])))).encode())


def _working_tree(request: Request, output: IO[bytes]) -> None:
    tar = TreeTar(output)
    working_tree.write_working_tree(Path(request["repository"]), tar, Path(request["directory"]))
    tar.close()


_ACTIONS: Mapping[str, Callable[[Request, IO[bytes]], None]] = {
    "resolve": _resolve,
    "fetch": _fetch,
    "heads": _heads,
    "files": _files,
    "changes": _changes,
    "text": _text,
    "stream": _stream,
    "working-revision": _working_revision,
    "working-tree": _working_tree,
}


_STREAMS = frozenset({"stream", "working-tree"})
"""Requests whose answer is a tar, to the end of standard output."""


def _fields(error: PlatformError) -> dict[str, str]:
    return {"reference": error.reference, "what": error.what, "cause": error.cause, "hint": error.hint}


if __name__ == "__main__":
    sys.exit(main())
