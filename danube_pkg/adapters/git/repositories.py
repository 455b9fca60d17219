"""What a repository's name and a ref mean: local repositories, plain directories, and anonymous remote ones through a mirror.

Runs in the worker process. A mirror is a bare repository below `repos/`, named by the URL's hash, that holds single commits
(depth 1), fetched by their exact hash.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dulwich.client import GitClient, get_transport_and_path
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo
from urllib3.exceptions import HTTPError

from danube_pkg.adapters.git.shallow import peeled
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.repositories import is_remote
from danube_pkg.core.sources import Revision

ANONYMOUS_SCHEMES = ("http", "https", "git")
MAX_REF_LENGTH = 512

_HASH = re.compile(r"[0-9a-f]{40}")
_SHORT_HASH = re.compile(r"[0-9a-f]{7,39}")
_HINT = "check that the repository and the ref exist and that Danube may read them"


def resolve(repository: str, ref: str, mirrors: Path) -> Revision:
    """What the ref names now. A plain directory has one state and no refs: its commit is "" ."""
    if len(ref) > MAX_REF_LENGTH or ref.startswith("-") or any(ord(letter) <= 32 for letter in ref):
        raise Permanent("source-unavailable", f"{ref[:80]!r} is no ref", hint="name a branch, a tag or a commit")
    if is_remote(repository):
        return _resolve_remote(repository, ref, mirrors)
    local = open_local(Path(repository))
    if local is None:
        if ref:
            raise Permanent(
                "source-unavailable",
                f"{repository} is a directory and no Git repository, so it has no ref {ref!r}",
                hint="leave the ref out, or make it one: git init",
            )
        return Revision("")
    with local:
        return resolve_local(local, ref, repository)


def open_local(path: Path) -> Repo | None:
    """The repository at that directory itself (never one around it); None for a plain directory."""
    if not path.is_dir():
        raise Permanent("source-unavailable", f"there is no directory {path}", hint=_HINT)
    try:
        return Repo(str(path))
    except NotGitRepository:
        return None
    except (ValueError, OSError, NotImplementedError) as error:
        raise Permanent("source-unavailable", f"{path} cannot be opened as a repository", cause=str(error)) from error


def resolve_local(repo: Repo, ref: str, name: str) -> Revision:
    """The commit that a branch, a tag, a hash or "" (HEAD) means in a repository on this machine. Raises Permanent."""
    refs = {one: ObjectID(sha) for one, sha in repo.refs.as_dict().items()}
    head = repo.refs.get_symrefs().get(HEADREF, Ref(b""))
    branch = head.removeprefix(b"refs/heads/").decode("utf-8", "replace") if head.startswith(b"refs/heads/") else ""
    if not ref or ref == "HEAD":
        if HEADREF not in refs:
            raise Permanent("source-unavailable", f"{name} has no commit yet", hint="commit something first")
        return Revision(peeled(repo.object_store, refs[HEADREF]).decode(), ref or branch, branch)
    found = _named({one.decode("utf-8", "surrogateescape"): sha for one, sha in refs.items()}, ref)
    if found is not None:
        sha, branch, tag = found
        return Revision(peeled(repo.object_store, sha).decode(), ref, branch, tag)
    if _HASH.fullmatch(ref):
        return Revision(peeled(repo.object_store, ObjectID(ref.encode())).decode(), ref)
    if _SHORT_HASH.fullmatch(ref):
        matches = {peeled(repo.object_store, ObjectID(one)) for one in repo.object_store.iter_prefix(ref.encode())}
        if len(matches) == 1:
            return Revision(matches.pop().decode(), ref)
        if matches:
            raise Permanent("source-unavailable", f"{ref!r} names several objects", hint="write more of its digits")
    raise _no_ref(name, ref)


def _named(refs: Mapping[str, ObjectID], ref: str) -> tuple[ObjectID, str, str] | None:
    """(object, branch, tag) of a full or short name; a branch goes before a tag of the same name."""
    for candidate in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
        if candidate in refs and candidate.startswith("refs/"):
            branch = candidate.removeprefix("refs/heads/") if candidate.startswith("refs/heads/") else ""
            tag = candidate.removeprefix("refs/tags/") if candidate.startswith("refs/tags/") else ""
            return refs[candidate], branch, tag
    return None


def _resolve_remote(url: str, ref: str, mirrors: Path) -> Revision:
    client, path = _client(url)
    try:
        answer = client.get_refs(path.encode())
    except _FAILURES as error:
        raise _unreachable(url, error) from error
    refs = {one.decode("utf-8", "surrogateescape"): ObjectID(sha) for one, sha in answer.refs.items() if sha}
    head = (answer.symrefs or {}).get(HEADREF, Ref(b"")).decode("utf-8", "replace")
    if not ref or ref == "HEAD":
        if "HEAD" not in refs:
            raise Permanent("source-unavailable", f"{url} has no commit yet", hint="push something first")
        branch = head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else ""
        return Revision(refs["HEAD"].decode(), ref or branch, branch)
    found = _named(refs, ref)
    if found is None and not _HASH.fullmatch(ref):
        raise _no_ref(url, ref)
    sha, branch, tag = found or (ObjectID(ref.encode()), "", "")
    if tag or not branch:
        # A tag may be an object of its own: what it points to is known when it is here.
        with mirror(url, sha.decode(), mirrors) as repo:
            sha = peeled(repo.object_store, sha)
    return Revision(sha.decode(), ref, branch, tag)


def mirror(url: str, sha: str, mirrors: Path) -> Repo:
    """The mirror of that URL with that commit (or tag) in it. One call at a time for one URL."""
    directory = mirrors / hashlib.sha256(url.encode()).hexdigest()[:32]
    wanted = ObjectID(sha.encode())
    if not (directory / "HEAD").exists():
        directory.mkdir(parents=True, exist_ok=True)
        Repo.init_bare(str(directory)).close()
    repo = Repo(str(directory))
    try:
        if wanted not in repo.object_store:
            client, path = _client(url)
            client.fetch(path.encode(), repo, determine_wants=lambda refs, depth=None: [wanted], depth=1)
    except _FAILURES as error:
        repo.close()
        raise _unreachable(url, error) from error
    if wanted not in repo.object_store:
        repo.close()
        raise Permanent("source-unavailable", f"{url} does not give out commit {sha}", hint=_HINT)
    return repo


_FAILURES = (GitProtocolError, HangupException, NotGitRepository, HTTPError, OSError, KeyError, ValueError)
"""What dulwich's clients raise when a server refuses, is away or answers nonsense."""


def _client(url: str) -> tuple[GitClient, str]:
    scheme = urlsplit(url).scheme.lower() if "://" in url else "ssh"
    if scheme not in ANONYMOUS_SCHEMES or "@" in urlsplit(url).netloc:
        raise Permanent(
            "source-unavailable",
            f"{scheme} repositories that need credentials are not supported yet",
            cause="Git credentials (git_authentication) come with a later version",
            hint="use a URL that can be read without a login, or a clone on this machine",
        )
    return get_transport_and_path(url)


def _unreachable(url: str, error: Exception) -> Permanent | Unavailable:
    cause = f"{type(error).__name__}: {error}"[:300]
    chain: BaseException | None = error
    while chain is not None and not isinstance(chain, HTTPError | HangupException | ConnectionError | TimeoutError):
        chain = chain.__cause__ or chain.__context__
    if chain is not None:
        return Unavailable("source-unreachable", f"{url} cannot be reached now", cause=cause, hint="try again")
    return Permanent("source-unavailable", f"{url} cannot be read", cause=cause, hint=_HINT)


def _no_ref(name: str, ref: str) -> Permanent:
    return Permanent(
        "source-unavailable", f"{name} has no branch, tag or commit {ref!r}", hint="look with: git ls-remote " + name
    )
