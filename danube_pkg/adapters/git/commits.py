"""A commit's message and author, for lists of jobs and for `[skip ci]`. Runs in the worker process."""

from dulwich.object_store import BaseObjectStore
from dulwich.objects import Commit, ObjectID

from danube_pkg.core.repositories.revisions import MAX_AUTHOR, MAX_MESSAGE, MAX_TEXT, first_line


def commit_metadata(objects: BaseObjectStore, sha: ObjectID) -> dict[str, str]:
    """`commit_message` (its first line) and `commit_author` (the name, no address), bounded; {} for other objects."""
    commit = objects[sha]
    if not isinstance(commit, Commit):
        return {}
    return {
        "commit_message": first_line(_text(commit.message, commit.encoding), MAX_MESSAGE),
        "commit_author": first_line(_text(commit.author, commit.encoding).partition(" <")[0], MAX_AUTHOR),
    }


def commit_text(objects: BaseObjectStore, sha: ObjectID) -> dict[str, str]:
    """`message` (the whole, cut to MAX_TEXT characters) and `author` (the name); empty for other objects."""
    commit = objects[sha]
    if not isinstance(commit, Commit):
        return {"message": "", "author": ""}
    message = _text(commit.message, commit.encoding)[:MAX_TEXT]
    return {"message": message, "author": commit_metadata(objects, sha)["commit_author"]}


def _text(data: bytes, encoding: bytes | None) -> str:
    """Decoded as the commit says, which is untrusted text; as UTF-8 where it names no known encoding."""
    try:
        return data.decode((encoding or b"utf-8").decode("ascii", "replace"), "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
