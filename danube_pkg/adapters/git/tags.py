"""The tag that a job's `.git` has: its name, and the objects between it and the commit. Runs in the worker process."""

from collections.abc import Sequence

from dulwich.object_store import BaseObjectStore
from dulwich.objects import ObjectID, Tag
from dulwich.refs import Ref, check_ref_format

from danube_pkg.kit.records import Record

MAX_TAGS = 10
"""Tags of tags: Git allows any number, and two are rare."""


class GitTag(Record):
    """A tag. sha: what its ref names, a tag object or the commit. objects: the tag objects, the outermost first."""

    name: str
    sha: bytes
    objects: Sequence[Tag] = ()


def tag_to(objects: BaseObjectStore, name: str, sha: str, commit_sha: str) -> GitTag | None:
    """The tag of that name for a commit. sha: what the repository says that it names.

    A tag that does not lead to the commit, since it was moved meanwhile, is one without objects. None for a name that
    is none in Git.
    """
    if not check_ref_format(Ref(f"refs/tags/{name}".encode("utf-8", "surrogateescape"))):
        return None
    found: list[Tag] = []
    at = ObjectID(sha.encode("ascii"))
    while len(found) < MAX_TAGS and at in objects and isinstance(one := objects[at], Tag):
        found.append(one)
        at = one.object[1]
    if at != commit_sha.encode("ascii"):
        return GitTag(name, commit_sha.encode("ascii"))
    return GitTag(name, sha.encode("ascii"), found)
