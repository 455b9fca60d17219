"""Resolves refs to commits, in local and remote repositories and plain directories. Runs in the worker process."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dulwich.errors import NotGitRepository
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo

from danube_pkg.adapters.git.checkout import peeled
from danube_pkg.adapters.git.commits import commit_metadata
from danube_pkg.adapters.git.history import peeled_refs
from danube_pkg.adapters.git.object_format import check_format, check_repository
from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.adapters.git.transports import HINT, connected
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.repositories.urls import is_remote, without_login
from danube_pkg.core.triggers.heads import BRANCHES, MAX_HEADS, MAX_REF_LENGTH, TAGS, RefHead
from danube_pkg.kit.records import Record, replace

_HASH = re.compile(r"[0-9a-f]{40}")
_SHORT_HASH = re.compile(r"[0-9a-f]{7,39}")


class Resolved(Record):
    """A revision. peel: its hash may be that of a tag object; the commit is known once it was fetched."""

    revision: Revision
    peel: bool = False


def resolve(repository: str, ref: str, remote: RemoteSettings) -> Resolved:
    """The revision that a ref names now; commit "" for a plain directory. Raises Permanent, Unavailable."""
    if len(ref) > MAX_REF_LENGTH or ref.startswith("-") or any(ord(character) <= 32 for character in ref):
        raise Permanent("source-unavailable", f"{ref[:80]!r} is not a ref", hint="name a branch, a tag or a commit")
    if is_remote(repository):
        return _resolve_remote(repository, ref, remote)
    local = open_local(Path(repository))
    if local is None:
        if ref:
            raise Permanent(
                "source-unavailable",
                f"{repository} is a directory and not a Git repository, so it has no ref {ref!r}",
                hint="leave the ref out, or make it one: git init",
            )
        return Resolved(Revision(""))
    with local:
        return Resolved(resolve_local(local, ref, repository))


def open_local(path: Path) -> Repo | None:
    """The repository in that very directory, not one above it; None for a plain directory. Raises Permanent."""
    if not path.is_dir():
        raise Permanent("source-unavailable", f"there is no directory {path}", hint=HINT)
    try:
        repo = Repo(str(path))
    except NotGitRepository:
        return None
    except (ValueError, OSError, NotImplementedError) as error:
        raise Permanent(
            "source-unavailable",
            f"{path} cannot be opened as a repository",
            cause=str(error),
            hint=f"check it with: git -C {path} fsck",
        ) from error
    try:
        check_repository(repo, str(path))
    except Permanent:
        repo.close()
        raise
    return repo


def resolve_local(repo: Repo, ref: str, name: str) -> Revision:
    """The commit of a branch, a tag, a hash or "" (HEAD) in a repository on this machine. Raises Permanent."""
    refs = {one: ObjectID(sha) for one, sha in repo.refs.as_dict().items()}
    head = repo.refs.get_symrefs().get(HEADREF, Ref(b""))
    branch = head.removeprefix(b"refs/heads/").decode("utf-8", "replace") if head.startswith(b"refs/heads/") else ""
    if not ref or ref == "HEAD":
        if HEADREF not in refs:
            raise Permanent("source-unavailable", f"{name} has no commit yet", hint="commit something first")
        return _revision(repo, refs[HEADREF], ref or branch, branch)
    found = _named({one.decode("utf-8", "surrogateescape"): sha for one, sha in refs.items()}, ref)
    if found is not None:
        sha, branch, tag, other = found
        return replace(_revision(repo, sha, ref, branch, tag), other_ref=other)
    if _HASH.fullmatch(ref):
        return _revision(repo, ObjectID(ref.encode()), ref)
    if _SHORT_HASH.fullmatch(ref):
        matches = {peeled(repo.object_store, ObjectID(one)) for one in repo.object_store.iter_prefix(ref.encode())}
        if len(matches) == 1:
            return _revision(repo, matches.pop(), ref)
        if matches:
            raise Permanent("source-unavailable", f"{ref!r} is ambiguous", hint="write more digits of the hash")
    raise _no_ref(name, ref)


def _revision(repo: Repo, sha: ObjectID, ref: str, branch: str = "", tag: str = "") -> Revision:
    commit = peeled(repo.object_store, sha)
    known = commit_metadata(repo.object_store, commit)
    revision = Revision(commit.decode(), ref, branch, tag)
    return revision.described(known.get("commit_message", ""), known.get("commit_author", ""))


def _named(refs: Mapping[str, ObjectID], ref: str) -> tuple[ObjectID, str, str, str] | None:
    """(object, branch, tag, other) of a full or short name. A branch takes precedence over a tag of the same name; then
    the full name of the tag is the other."""
    tag_ref = f"refs/tags/{ref}"
    for candidate in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
        if candidate in refs and candidate.startswith("refs/"):
            branch = candidate.removeprefix("refs/heads/") if candidate.startswith("refs/heads/") else ""
            tag = candidate.removeprefix("refs/tags/") if candidate.startswith("refs/tags/") else ""
            other = tag_ref if branch and ref == branch and tag_ref in refs else ""
            return refs[candidate], branch, tag, other
    return None


def _resolve_remote(url: str, ref: str, remote: RemoteSettings) -> Resolved:
    name = without_login(url)
    if _HASH.fullmatch(ref):
        return Resolved(Revision(ref, ref), peel=True)
    with connected(url, remote) as (client, path):
        answer = client.get_refs(path.encode(), ref_prefix=_prefixes(ref))
    check_format(name, (sha for sha in answer.refs.values() if sha))
    refs = {one.decode("utf-8", "surrogateescape"): ObjectID(sha) for one, sha in answer.refs.items() if sha}
    head = (answer.symrefs or {}).get(HEADREF, Ref(b"")).decode("utf-8", "replace")
    if not ref or ref == "HEAD":
        if "HEAD" not in refs:
            raise Permanent("source-unavailable", f"{name} has no commit yet", hint="push something first")
        branch = head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else ""
        return Resolved(Revision(refs["HEAD"].decode(), ref or branch, branch))
    found = _named(refs, ref)
    if found is None:
        raise _no_ref(name, ref)
    sha, branch, tag, other = found
    # A tag may be an object of its own: newer servers also list what it points to.
    commit = refs.get(f"refs/tags/{tag}^{{}}") if tag else None
    return Resolved(
        Revision((commit or sha).decode(), ref, branch, tag, other_ref=other), peel=not branch and commit is None
    )


def remote_tag(url: str, tag: str, remote: RemoteSettings) -> str:
    """The hash of what a tag names now: a tag object or a commit. Raises Permanent, Unavailable."""
    ref = f"refs/tags/{tag}"
    with connected(url, remote) as (client, path):
        answer = client.get_refs(path.encode(), ref_prefix=[ref.encode("utf-8", "surrogateescape")])
    found = answer.refs.get(Ref(ref.encode("utf-8", "surrogateescape")))
    if found is None:
        raise _no_ref(without_login(url), ref)
    return found.decode()


def list_refs(repository: str, prefixes: Sequence[str], remote: RemoteSettings) -> dict[bytes, ObjectID]:
    """The refs with these prefixes now, and what each tag leads to (a name with ^{}). Raises Permanent, Unavailable."""
    wanted = [one.encode("utf-8", "surrogateescape") for one in prefixes]
    if is_remote(repository):
        with connected(repository, remote) as (client, path):
            answer = client.get_refs(path.encode(), ref_prefix=wanted)
        found: dict[bytes, ObjectID] = {ref: ObjectID(sha) for ref, sha in answer.refs.items() if sha}
    else:
        local = open_local(Path(repository))
        if local is None:
            return {}
        with local:
            found = peeled_refs(local.object_store, {ref: ObjectID(sha) for ref, sha in local.get_refs().items()})
    return {ref: sha for ref, sha in found.items() if ref.startswith(tuple(wanted))}


def heads(url: str, remote: RemoteSettings) -> list[RefHead]:
    """All branches and tags of a remote repository. Names that cannot be stored or asked for are left out.

    Raises Permanent, Unavailable, TooLarge.
    """
    with connected(url, remote) as (client, path):
        answer = client.get_refs(path.encode(), ref_prefix=[BRANCHES.encode(), TAGS.encode()])
    check_format(without_login(url), (sha for sha in answer.refs.values() if sha))
    refs = {name: sha.decode("ascii") for name, sha in answer.refs.items() if sha}
    found = [
        RefHead(name.decode(), sha, refs.get(Ref(name + b"^{}"), sha)) for name, sha in refs.items() if _is_head(name)
    ]
    if len(found) > MAX_HEADS:
        raise TooLarge(
            "source-too-large",
            f"{without_login(url)} has {len(found)} branches and tags, and at most {MAX_HEADS} are compared",
            hint="delete old ones",
        )
    return found


def _is_head(name: bytes) -> bool:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    named = text.startswith((BRANCHES, TAGS)) and not text.endswith("^{}")
    return named and len(text) <= MAX_REF_LENGTH and text.isprintable() and " " not in text


def local_tag(path: Path, tag: str) -> str:
    """The same for a repository on this machine; "" where it has no such tag."""
    local = open_local(path)
    if local is None:
        return ""
    with local:
        found = local.get_refs().get(Ref(f"refs/tags/{tag}".encode("utf-8", "surrogateescape")))
        return found.decode() if found is not None else ""


def _prefixes(ref: str) -> list[bytes]:
    """The refs that the server is to list: large repositories have tens of thousands."""
    if not ref or ref == "HEAD":
        return [b"HEAD"]
    return [name.encode("utf-8", "surrogateescape") for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}")]


def _no_ref(name: str, ref: str) -> Permanent:
    return Permanent(
        "source-unavailable", f"{name} has no branch, tag or commit {ref!r}", hint="list them: git ls-remote " + name
    )
