"""Which files differ between two commits. Runs in the worker process."""

from dulwich.diff_tree import tree_changes
from dulwich.object_store import BaseObjectStore
from dulwich.objects import Commit, ObjectID

from danube_pkg.adapters.git.limits import MAX_CHANGED_FILES
from danube_pkg.core.errors import Permanent


def changed_paths(objects: BaseObjectStore, before: str, after: str) -> list[str] | None:
    """Paths that were added, changed, removed or given another mode, sorted; None for more than `MAX_CHANGED_FILES`."""
    found: set[str] = set()
    for change in tree_changes(objects, _tree(objects, before), _tree(objects, after)):
        for entry in (change.old, change.new):
            if entry is not None and entry.path is not None:
                found.add(entry.path.decode("utf-8", "surrogateescape"))
        if len(found) > MAX_CHANGED_FILES:
            return None
    return sorted(found)


def _tree(objects: BaseObjectStore, sha: str) -> ObjectID:
    commit = objects[ObjectID(sha.encode("ascii"))]
    if not isinstance(commit, Commit):
        raise Permanent("source-unavailable", f"{sha} is not a commit", hint="name a branch, a tag or a commit")
    tree: ObjectID = commit.tree
    return tree
