"""The process beside the server that does Git's heavy work: one request on standard input, one answer, then it ends.

The request is a JSON object with `do`: `resolve`, `fetch` and `working-revision` answer with JSON, `stream` and `working-tree` with
a tar. An error is a JSON object in the last line of standard error, with exit code 1.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from danube_pkg.adapters.git import directories, repositories
from danube_pkg.adapters.git.shallow import Checkout
from danube_pkg.adapters.git.tree_tar import TreeTar
from danube_pkg.core.errors import DanubeError
from danube_pkg.core.repositories import is_remote


def main() -> int:
    """One request from standard input, its answer on standard output; 1 where it was refused."""
    request = json.loads(sys.stdin.buffer.read())
    # What a library prints must not end up in the answer.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        _answer(request, output)
        output.close()
    except DanubeError as error:
        sys.stderr.write("\n" + json.dumps({"kind": type(error).__name__, **_fields(error)}) + "\n")
        return 1
    except BrokenPipeError:
        # The server does not want the rest: nothing is left to be told to anybody.
        return 1
    return 0


def _answer(request: Mapping[str, str], output: IO[bytes]) -> None:
    do, repository, directory = request["do"], request["repository"], Path(request["directory"])
    if do == "resolve":
        output.write(json.dumps(asdict(repositories.resolve(repository, request["ref"], directory))).encode())
    elif do == "fetch":
        repositories.mirror(repository, request["commit_sha"], directory).close()
        output.write(b"{}")
    elif do == "working-revision":
        output.write(json.dumps(asdict(directories.working_revision(Path(repository)))).encode())
    elif do == "working-tree":
        tar = TreeTar(output)
        directories.write_working_tree(Path(repository), tar, directory)
        tar.close()
    elif do == "stream":
        tar = TreeTar(output)
        _stream(repository, request["commit_sha"], directory, tar)
        tar.close()
    else:
        raise ValueError(f"unknown request {do!r}")


def _stream(repository: str, commit_sha: str, directory: Path, tar: TreeTar) -> None:
    if is_remote(repository):
        with repositories.mirror(repository, commit_sha, directory) as repo:
            Checkout(repo.object_store, commit_sha, directory).write(tar, origin=_public(repository))
        return
    local = repositories.open_local(Path(repository)) if commit_sha else None
    if local is None:
        directories.write_directory(Path(repository), tar)
        return
    with local:
        Checkout(local.object_store, commit_sha, directory).write(tar)


def _public(url: str) -> str:
    """The URL without a login."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _fields(error: DanubeError) -> dict[str, str]:
    return {"reference": error.reference, "what": error.what, "cause": error.cause, "hint": error.hint}


if __name__ == "__main__":
    sys.exit(main())
