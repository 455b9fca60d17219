"""The history that a job's `.git` has where its pipeline asks for it: commits, tags, the target branch of a request.

Only what can be reached from the job's own commit and, for a pull request, its target branch gets into the pod, down to
the depth: the mirror has commits of other branches too, which the job must not see. Runs in the worker process.
"""

import io
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from dulwich.object_format import SHA1
from dulwich.object_store import BaseObjectStore, PackBasedObjectStore
from dulwich.objects import Commit, ObjectID, Tag, Tree
from dulwich.pack import (
    UnpackedObject,
    find_reusable_deltas,
    full_unpacked_object,
    write_pack_data,
    write_pack_index_v2,
)
from dulwich.refs import Ref, check_ref_format

from danube_pkg.adapters.git.limits import MAX_HISTORY_BYTES, MAX_HISTORY_OBJECTS, MAX_HISTORY_TAGS
from danube_pkg.adapters.git.tree_tar import TreeTar
from danube_pkg.core.errors import TooLarge
from danube_pkg.kit.records import Record

_DIRECTORY, _SUBMODULE = 0o040000, 0o160000
_PEELED = b"^{}"
_TAGS = b"refs/tags/"


class Commits(Record):
    """commits: the nearest first. boundary: those with a parent that is not among them, for `.git/shallow`.
    is_complete: the object store had all of them."""

    commits: Sequence[ObjectID]
    boundary: Sequence[ObjectID]
    is_complete: bool


class GitHistory(Record):
    """depth: of commits, 0 for all. refs: beside the commit's own, by full name; the history of branches among them is
    part of it."""

    depth: int
    refs: Mapping[bytes, ObjectID]


def commits_of(objects: BaseObjectStore, tips: Sequence[ObjectID], depth: int) -> Commits:
    """The commits that are at most `depth` from one of the tips, counted as `git clone --depth` does; 0: all."""
    parents: dict[ObjectID, Sequence[ObjectID]] = {}
    level, at, is_complete = list(dict.fromkeys(tips)), 1, True
    while level and (not depth or at <= depth):
        ahead: dict[ObjectID, None] = {}
        for sha in level:
            found = objects[sha] if sha in objects else None  # noqa: SIM401 - it has no `get`
            if not isinstance(found, Commit):
                is_complete = False
                continue
            parents[sha] = found.parents
            ahead.update(dict.fromkeys(found.parents))
        _check_count(len(parents))
        level, at = [sha for sha in ahead if sha not in parents], at + 1
    boundary = [sha for sha, above in parents.items() if any(one not in parents for one in above)]
    return Commits(list(parents), boundary, is_complete)


def tags_of(refs: Mapping[bytes, ObjectID], commits: Sequence[ObjectID]) -> dict[bytes, ObjectID]:
    """The tags that name one of the commits, the nearest ones if there are too many. refs: what a server listed."""
    named: dict[ObjectID, list[bytes]] = {}
    for ref, sha in refs.items():
        if ref.startswith(_TAGS) and not ref.endswith(_PEELED) and check_ref_format(Ref(ref)):
            named.setdefault(refs.get(ref + _PEELED, sha), []).append(ref)
    found = [ref for sha in commits for ref in sorted(named.get(sha, ()))]
    return {ref: refs[ref] for ref in found[:MAX_HISTORY_TAGS]}


def peeled_refs(objects: BaseObjectStore, refs: Mapping[bytes, ObjectID]) -> dict[bytes, ObjectID]:
    """The refs of a repository on this machine as a server lists them, with what each tag leads to."""
    found = dict(refs)
    for ref, sha in refs.items():
        at = sha
        while ref.startswith(_TAGS) and at in objects and isinstance(one := objects[at], Tag):
            at = one.object[1]
        if at != sha:
            found[ref + _PEELED] = at
    return found


class HistoryPack:
    """A pack with all objects of a history but those that another pack has. file: temporary."""

    def __init__(self, objects: BaseObjectStore, history: GitHistory, commit: ObjectID, file: IO[bytes]) -> None:
        tips = [sha for ref, sha in history.refs.items() if not ref.startswith(_TAGS)]
        self.found = commits_of(objects, [commit, *tips], history.depth)
        self._objects = objects
        self._tags = [sha for sha in history.refs.values() if sha in objects and isinstance(objects[sha], Tag)]
        self._file = file
        self._written = 0
        self._bases: dict[bytes, bytes] = {}

    def write(self, without: frozenset[ObjectID]) -> tuple[bytes, bytes]:
        """The pack's checksum and its index. without: objects of the other pack. Raises TooLarge."""
        wanted = self._object_ids() - without
        entries, checksum = write_pack_data(
            self._write, self._records(wanted), SHA1, num_records=len(wanted), compression_level=1
        )
        index = io.BytesIO()
        rows = sorted((sha, offset, crc) for sha, (offset, crc) in entries.items())
        write_pack_index_v2(index, rows, checksum)
        return checksum, index.getvalue()

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        self._written += len(data)
        if self._written > MAX_HISTORY_BYTES:
            raise _too_large(f"more than {MAX_HISTORY_BYTES >> 30} GiB")
        return self._file.write(data)

    def _object_ids(self) -> set[ObjectID]:
        found: set[ObjectID] = {*self.found.commits, *self._tag_objects()}
        for sha in self.found.commits:
            commit = self._objects[sha]
            if isinstance(commit, Commit):
                self._add_tree(commit.tree, found)
                _check_count(len(found))
        return found

    def _tag_objects(self) -> Iterator[ObjectID]:
        for sha in self._tags:
            at = sha
            while at in self._objects and isinstance(one := self._objects[at], Tag):
                yield at
                at = one.object[1]

    def _add_tree(self, top: ObjectID, found: set[ObjectID]) -> None:
        ahead = [top]
        while ahead:
            sha = ahead.pop()
            if sha in found:
                continue
            found.add(sha)
            tree = self._objects[sha]
            for entry in tree.iteritems() if isinstance(tree, Tree) else ():
                kind = (entry.mode or 0) & 0o170000
                if entry.sha is None or kind == _SUBMODULE or entry.sha in found:
                    continue
                if kind == _DIRECTORY:
                    ahead.append(entry.sha)
                else:
                    found.add(entry.sha)

    def _records(self, wanted: set[ObjectID]) -> Iterator[UnpackedObject]:
        """Differences as the mirror has them where their base is in this pack too, and whole objects."""
        left = set(wanted)
        if isinstance(self._objects, PackBasedObjectStore):
            for one in find_reusable_deltas(self._objects, wanted):
                sha, base = one.sha(), one.delta_base
                if isinstance(base, bytes) and not self._leads_to(base, sha):
                    self._bases[sha] = base
                    left.discard(ObjectID(sha.hex().encode()))
                    yield one
        for sha_hex in left:
            yield full_unpacked_object(self._objects[sha_hex])

    def _leads_to(self, base: bytes, sha: bytes) -> bool:
        """Whether an object is made of another one: packs of different fetches can state both of each other."""
        while base != sha:
            if base not in self._bases:
                return False
            base = self._bases[base]
        return True


def write_history(
    tar: TreeTar,
    objects: BaseObjectStore,
    history: GitHistory,
    commit: ObjectID,
    packed: Collection[ObjectID],
    directory: Path,
) -> Sequence[ObjectID]:
    """Add a pack and `packed-refs` to a `.git` whose directories exist; the boundary, for `.git/shallow`.

    packed: objects that another pack of it has. directory: for temporary files.
    """
    mtime = cast("Commit", objects[commit]).commit_time
    with tempfile.TemporaryFile(dir=directory) as file:
        made = HistoryPack(objects, history, commit, file)
        checksum, index = made.write(frozenset(packed))
        name, size = f".git/objects/pack/pack-{checksum.hex()}", file.tell()
        file.seek(0)
        tar.add_bytes(f"{name}.idx", index, mtime)
        tar.add_open_file(f"{name}.pack", file, size, mtime)
    tar.add_bytes(".git/packed-refs", packed_refs(history.refs), mtime)
    return made.found.boundary


def packed_refs(refs: Mapping[bytes, ObjectID]) -> bytes:
    """The file `packed-refs` (gitrepository-layout)."""
    return b"# pack-refs with: sorted \n" + b"".join(sha + b" " + ref + b"\n" for ref, sha in sorted(refs.items()))


def _check_count(count: int) -> None:
    if count > MAX_HISTORY_OBJECTS:
        raise _too_large(f"more than {MAX_HISTORY_OBJECTS} objects")


def _too_large(what: str) -> TooLarge:
    return TooLarge(
        "source-too-large",
        f"the history of the repository has {what}",
        hint="ask for less of it in the pipeline's YAML: clone: {depth: 50}",
    )
