"""What a job's history is: a request of the worker about it, from the pipeline's words to refs and commits."""

from collections.abc import Mapping, Sequence
from typing import Any

from dulwich.object_store import BaseObjectStore
from dulwich.objects import ObjectID
from dulwich.refs import Ref, check_ref_format
from dulwich.repo import Repo

from danube_pkg.adapters.git.fetch import fetch_history, fetch_objects
from danube_pkg.adapters.git.history import GitHistory, commits_of, tags_of
from danube_pkg.adapters.git.refs import list_refs
from danube_pkg.adapters.git.remote import RemoteSettings

_HEADS = "refs/heads/"
_TAGS = "refs/tags/"
_ORIGIN = b"refs/remotes/origin/"


def request_history(
    url: str, commit: ObjectID, asked: Mapping[str, Any], remote: RemoteSettings, repo: Repo
) -> dict[str, Any]:
    """Fetch a commit's history into the mirror. asked: a `History` as JSON. The result is what `history_of` needs to be
    asked, with `notices` for users. Raises Permanent, Unavailable, TooLarge."""
    depth, listed = asked["depth"], list_refs(url, _prefixes(asked), remote)
    branches, notices = _branches(asked, listed)
    fetch_history(url, [commit, *branches.values()], depth, repo, remote)
    tags = _tags(repo.object_store, [commit, *branches.values()], asked, listed)
    fetch_objects(url, list(tags.values()), repo, remote)
    return {"history": {"depth": depth, "refs": _as_text({**branches, **tags})}, "notices": notices}


def history_of(objects: BaseObjectStore, request: Mapping[str, Any]) -> GitHistory | None:
    """The history that a request is about. A mirror's was listed when it was fetched; a repository of this machine is
    read now."""
    asked = request.get("history")
    if not asked:
        return None
    if "refs" in asked:
        refs = {name.encode("utf-8", "surrogateescape"): ObjectID(sha.encode()) for name, sha in asked["refs"]}
        return GitHistory(asked["depth"], refs)
    listed = list_refs(request["repository"], _prefixes(asked), RemoteSettings())
    branches, _ = _branches(asked, listed)
    tips = [ObjectID(request["commit_sha"].encode()), *branches.values()]
    return GitHistory(asked["depth"], {**branches, **_tags(objects, tips, asked, listed)})


def _prefixes(asked: Mapping[str, Any]) -> Sequence[str]:
    return [*([_TAGS] if asked["tags"] else []), *([f"{_HEADS}{asked['branch']}"] if asked["branch"] else [])]


def _branches(
    asked: Mapping[str, Any], listed: Mapping[bytes, ObjectID]
) -> tuple[dict[bytes, ObjectID], Sequence[str]]:
    """The further branch as the job sees it, and a notice where the repository has none of that name."""
    if not (name := asked["branch"]):
        return {}, ()
    encoded = name.encode("utf-8", "surrogateescape")
    sha = listed.get(_HEADS.encode() + encoded)
    if sha is None or not check_ref_format(Ref(_ORIGIN + encoded)):
        return {}, [f"the branch {name} is not in the repository, so that the job has no origin/{name}"]
    return {_ORIGIN + encoded: sha}, ()


def _tags(
    objects: BaseObjectStore, tips: Sequence[ObjectID], asked: Mapping[str, Any], listed: Mapping[bytes, ObjectID]
) -> dict[bytes, ObjectID]:
    if not asked["tags"]:
        return {}
    return tags_of(listed, commits_of(objects, tips, asked["depth"]).commits)


def _as_text(refs: Mapping[bytes, ObjectID]) -> Sequence[tuple[str, str]]:
    return [(ref.decode("utf-8", "surrogateescape"), sha.decode()) for ref, sha in refs.items()]
