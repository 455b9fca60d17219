"""What a commit says of itself, for people. Runs in the worker process."""

from dulwich.object_store import BaseObjectStore
from dulwich.objects import Commit, ObjectID

from danube_pkg.core.repositories.revisions import MAX_AUTHOR, MAX_MESSAGE, first_line


def commit_words(objects: BaseObjectStore, sha: ObjectID) -> dict[str, str]:
    """`commit_message` (its first line) and `commit_author` (the name, no address), bounded; nothing for what is no commit."""
    commit = objects[sha]
    if not isinstance(commit, Commit):
        return {}
    return {
        "commit_message": first_line(_text(commit.message, commit.encoding), MAX_MESSAGE),
        "commit_author": first_line(_text(commit.author, commit.encoding).partition(" <")[0], MAX_AUTHOR),
    }


def _text(data: bytes, encoding: bytes | None) -> str:
    """In the encoding that the commit names, which anybody may have written; UTF-8 where that is none."""
    try:
        return data.decode((encoding or b"utf-8").decode("ascii", "replace"), "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
