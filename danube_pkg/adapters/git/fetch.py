"""Fetches commits into a mirror: a bare repository below `repos/` with single commits of one remote repository.

Runs in the worker process. Commits are fetched by their hash and shallow (depth 1). The mirror's commits are offered to
the server, so that the next commit transfers only what differs. One process at a time writes to a mirror; any number
read.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from dulwich.client import GitClient
from dulwich.objects import Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from danube_pkg.adapters.git import host_git
from danube_pkg.adapters.git.history import commits_of
from danube_pkg.adapters.git.limits import DEEPENING, MAX_PACK_BYTES
from danube_pkg.adapters.git.object_format import check_format
from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.adapters.git.transports import HINT, connected
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.core.repositories.revisions import GitProgram
from danube_pkg.core.repositories.urls import without_login

PROTOCOL_WITH_HASHES = 2
"""The version of Git's protocol in which any commit can be requested by its hash."""

_PREFIXES = (b"refs/heads/", b"refs/tags/")
"""Refs whose history is fetched where a commit cannot be requested by its hash."""

HISTORY = b"refs/danube/history/"
"""Refs of a mirror: commits whose history was fetched."""

ALL = 0x7FFFFFFF
"""The depth that means all of the history (`git fetch --unshallow`)."""

MAX_HAVES = 16
"""How many commits are offered, the newest first: older ones hardly reduce the transfer."""


def open_mirror(directory: Path) -> Repo:
    """The mirror in that directory, created where there is none."""
    if not (directory / "HEAD").exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        Repo.init_bare(str(directory)).close()
    return Repo(str(directory))


def fetch(url: str, sha: str, directory: Path, remote: RemoteSettings) -> Repo:
    """The mirror with that commit (or tag), without a request where it has it. Raises Permanent, Unavailable."""
    wanted = ObjectID(sha.encode("ascii"))
    check_format(without_login(url), [wanted])
    repo = open_mirror(directory)
    try:
        if wanted not in repo.object_store:
            if remote.program is GitProgram.HOST:
                host_git.fetch(url, sha, directory, remote)
            else:
                _fetch(url, wanted, repo, remote)
        if wanted not in repo.object_store:
            raise Permanent("source-unavailable", f"{without_login(url)} does not provide commit {sha}", hint=HINT)
    except BaseException:
        repo.close()
        raise
    return repo


def _fetch(url: str, wanted: ObjectID, repo: Repo, remote: RemoteSettings) -> None:
    try:
        with connected(url, remote) as (client, path):
            if _fetch_pack(client, path, repo, _Exactly(client, wanted), 1, _Haves(repo)):
                return
    except Permanent as error:
        if "not our ref" not in error.cause:
            raise
    # The server provides only what a ref names: the commit is searched in the history of all refs.
    for depth in DEEPENING:
        with connected(url, remote) as (client, path):
            _fetch_pack(client, path, repo, _all_refs, depth, _Haves(None))
        if wanted in repo.object_store:
            return


Refs = Mapping[Ref, ObjectID]
Wants = Callable[..., list[ObjectID]]


def fetch_history(url: str, tips: Sequence[ObjectID], depth: int, repo: Repo, remote: RemoteSettings) -> None:
    """Fetch the history of commits that the mirror has or that a ref names, without a request where it has it. depth:
    as in `GitHistory`. Raises Permanent, Unavailable, TooLarge."""
    if commits_of(repo.object_store, tips, depth).is_complete:
        return
    if remote.program is GitProgram.HOST:
        for sha in tips:
            host_git.fetch(url, sha.decode(), Path(repo.path), remote, depth or ALL)
        return
    with connected(url, remote) as (client, path):
        known = _Haves(repo, with_history=True)
        if not _fetch_pack(client, path, repo, _Exactly(client, *tips), depth or ALL, known):
            _fetch_pack(client, path, repo, _all_refs, ALL, _Haves(None))
    for sha in tips:
        if sha in repo.object_store:
            repo.refs[Ref(HISTORY + sha)] = sha


def fetch_objects(url: str, wanted: Sequence[ObjectID], repo: Repo, remote: RemoteSettings) -> None:
    """Fetch tag objects whose commits the mirror has."""
    missing = [sha for sha in wanted if sha not in repo.object_store]
    if missing:
        with connected(url, remote) as (client, path):
            _fetch_pack(client, path, repo, lambda refs, depth=None: missing, None, _Haves(repo, with_history=True))


class _Exactly:
    """Wants commits; nothing from a server of the older protocol without a ref for it, since it would disconnect."""

    def __init__(self, client: GitClient, *wanted: ObjectID) -> None:
        self._client = client
        self._wanted = wanted

    def __call__(self, refs: Refs, depth: int | None = None) -> list[ObjectID]:
        by_hash = getattr(self._client, "protocol_version", 0) == PROTOCOL_WITH_HASHES
        return list(self._wanted) if by_hash or set(self._wanted) <= set(refs.values()) else []


def _all_refs(refs: Refs, depth: int | None = None) -> list[ObjectID]:
    # A name with ^{} gives what a tag points to; it is not a ref that can be requested.
    return sorted({sha for ref, sha in refs.items() if ref.startswith(_PREFIXES) and not ref.endswith(b"^{}")})


def _fetch_pack(client: GitClient, path: str, repo: Repo, wants: Wants, depth: int | None, haves: "_Haves") -> bool:
    """Like `GitClient.fetch`, with a bound on the size of the pack; whether there was one."""
    with tempfile.TemporaryFile(dir=repo.path) as file:
        result = client.fetch_pack(path.encode(), wants, haves, _Bounded(file), depth=depth)
        received = file.tell() > 0
        if received:
            file.seek(0)
            repo.object_store.add_thin_pack(file.read, None)
    # Last: after a crash a commit may be complete and not offered, and never offered and incomplete.
    repo.update_shallow(result.new_shallow, result.new_unshallow)
    return received


class _Bounded:
    """Writes a pack to a file. Raises TooLarge above the bound of one fetch."""

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
    """dulwich's graph walker over a mirror's newest commits, each without its history. with_history: also over those
    whose history was fetched, with the whole boundary of the mirror, so that the server knows where it ends."""

    def __init__(self, repo: Repo | None, *, with_history: bool = False) -> None:
        commits = [] if repo is None else list(_commits(repo, repo.get_shallow()))
        boundary = {one.id for one in commits}
        if repo is not None and with_history:
            tips = [ObjectID(sha) for ref, sha in repo.refs.as_dict().items() if ref.startswith(HISTORY)]
            commits += [one for one in _commits(repo, tips) if one.id not in boundary]
        commits.sort(key=lambda one: one.commit_time, reverse=True)
        offered = [one.id for one in commits[:MAX_HAVES]]
        self._left = offered[::-1]
        self.shallow = boundary if with_history else set(offered)

    def __next__(self) -> ObjectID | None:
        return self._left.pop() if self._left else None

    next = __next__

    def ack(self, sha: ObjectID) -> None:
        """The server has it too."""

    def nak(self) -> None:
        """The server knows none of it."""


def _commits(repo: Repo, shas: Iterable[ObjectID]) -> Iterator[Commit]:
    for sha in shas:
        if sha in repo.object_store and isinstance(found := repo.object_store[sha], Commit):
            yield found
