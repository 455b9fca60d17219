"""A mirror: a bare repository below `repos/` that holds single commits of one remote repository, fetched by their exact hash.

Runs in the worker process. Commits are shallow (depth 1); what the mirror has is offered to the server, so that the next
commit of the same repository brings only what differs. One process at a time writes to a mirror; any number read it.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from dulwich.client import GitClient
from dulwich.objects import Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from danube_pkg.adapters.git import host_git
from danube_pkg.adapters.git.access import GitAccess
from danube_pkg.adapters.git.limits import DEEPENING, MAX_PACK_BYTES
from danube_pkg.adapters.git.transports import HINT, connected
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.core.repositories.revisions import GitProgram
from danube_pkg.core.repositories.urls import without_login

NEWER_PROTOCOL = 2
"""Git's protocol in which any commit can be asked for by its hash."""

_BEHIND = (b"refs/heads/", b"refs/tags/")

MAX_HAVES = 16
"""The newest commits are offered: an older one saves nothing that a newer one does not."""


def open_mirror(directory: Path) -> Repo:
    """The mirror in that directory, made where there is none."""
    if not (directory / "HEAD").exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        Repo.init_bare(str(directory)).close()
    return Repo(str(directory))


def fetch(url: str, sha: str, directory: Path, access: GitAccess) -> Repo:
    """The mirror with that commit (or tag) in it. Asks nobody when it is there already. Raises Permanent, Unavailable."""
    wanted = ObjectID(sha.encode("ascii"))
    repo = open_mirror(directory)
    try:
        if wanted not in repo.object_store:
            if access.program is GitProgram.HOST:
                host_git.fetch(url, sha, directory, access)
            else:
                _fetch(url, wanted, repo, access)
        if wanted not in repo.object_store:
            raise Permanent("source-unavailable", f"{without_login(url)} does not give out commit {sha}", hint=HINT)
    except BaseException:
        repo.close()
        raise
    return repo


def _fetch(url: str, wanted: ObjectID, repo: Repo, access: GitAccess) -> None:
    try:
        with connected(url, access) as (client, path):
            if _fetch_pack(client, path, repo, _Exactly(client, wanted), 1, _Haves(repo)):
                return
    except Permanent as error:
        if "not our ref" not in error.cause:
            raise
    # The server gives out what a ref names and nothing else: the commit is looked for behind the refs.
    for depth in DEEPENING:
        with connected(url, access) as (client, path):
            _fetch_pack(client, path, repo, _everything, depth, _Haves(None))
        if wanted in repo.object_store:
            return


Refs = Mapping[Ref, ObjectID]
Wants = Callable[..., list[ObjectID]]


class _Exactly:
    """Wants one commit; nothing from a server of the older protocol that has no ref for it, since that would hang up."""

    def __init__(self, client: GitClient, wanted: ObjectID) -> None:
        self._client = client
        self._wanted = wanted

    def __call__(self, refs: Refs, depth: int | None = None) -> list[ObjectID]:
        by_hash = getattr(self._client, "protocol_version", 0) == NEWER_PROTOCOL
        return [self._wanted] if by_hash or self._wanted in refs.values() else []


def _everything(refs: Refs, depth: int | None = None) -> list[ObjectID]:
    # A name with ^{} says what a tag points to; it is no ref that could be asked for.
    return sorted({sha for ref, sha in refs.items() if ref.startswith(_BEHIND) and not ref.endswith(b"^{}")})


def _fetch_pack(client: GitClient, path: str, repo: Repo, wants: Wants, depth: int, haves: "_Haves") -> bool:
    """As `GitClient.fetch`, with a bound on what comes; whether anything came."""
    with tempfile.TemporaryFile(dir=repo.path) as file:
        result = client.fetch_pack(path.encode(), wants, haves, _Bounded(file), depth=depth)
        came = file.tell() > 0
        if came:
            file.seek(0)
            repo.object_store.add_thin_pack(file.read, None)
    # Only now: a crash before leaves a commit that is whole and not offered, never one that is offered and not whole.
    repo.update_shallow(result.new_shallow, result.new_unshallow)
    return came


class _Bounded:
    """Writes to a file, up to the bound of one fetch."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def __call__(self, data: bytes) -> int:
        self._count += len(data)
        if self._count > MAX_PACK_BYTES:
            raise TooLarge(
                "source-too-large",
                f"the repository sends more than {MAX_PACK_BYTES // 1024**3} GiB for one commit",
                hint="keep large data out of the repository, and let a step download it",
            )
        return self._file.write(data)


class _Haves:
    """dulwich's graph walker over what a mirror has: its newest commits, each without its history."""

    def __init__(self, repo: Repo | None) -> None:
        commits = [] if repo is None else list(_commits(repo))
        commits.sort(key=lambda one: one.commit_time, reverse=True)
        self._left = [one.id for one in commits[:MAX_HAVES]][::-1]
        self.shallow = {one.id for one in commits[:MAX_HAVES]}

    def __next__(self) -> ObjectID | None:
        return self._left.pop() if self._left else None

    next = __next__

    def ack(self, sha: ObjectID) -> None:
        """The server has it too."""

    def nak(self) -> None:
        """The server knows none of it."""


def _commits(repo: Repo) -> Iterator[Commit]:
    for sha in repo.get_shallow():
        if sha in repo.object_store and isinstance(found := repo.object_store[sha], Commit):
            yield found
