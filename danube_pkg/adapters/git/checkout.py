"""A commit as a checkout: its tree as tar entries, then a shallow `.git` with which `git status` is clean.

Objects are read once: while the tree is written, each is added to a pack in an unnamed temporary file, which is written
to the tar at the end. Objects are stored whole and uncompressed: a pod needs them once, and compression took half of
the time. The index has zero sizes and times, which mark entries whose content Git has not compared yet (as `git
read-tree`).
"""

import hashlib
import io
import posixpath
import struct
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

from dulwich.index import SerializedIndexEntry, write_index
from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.pack import write_pack_index_v2

from danube_pkg.adapters.git.attributes import Attributes
from danube_pkg.adapters.git.history import GitHistory, write_history
from danube_pkg.adapters.git.limits import LFS_POINTER_BYTES, MAX_BLOB_BYTES, MAX_FILES
from danube_pkg.adapters.git.tags import GitTag
from danube_pkg.adapters.git.tree_tar import TreeTar
from danube_pkg.core.errors import Permanent, TooLarge
from danube_pkg.kit.records import Mutable, Record, field

MAX_DEPTH = 200
"""Nested directories: a deeper path does not fit into PATH_MAX."""

Kind = TypeVar("Kind", bound=ShaFile)

ATTRIBUTES = b".gitattributes"

MAX_NAMED = 5
"""Files that a notice names."""

_LINK, _SUBMODULE, _DIRECTORY, _FILE = 0o120000, 0o160000, 0o040000, 0o100000
_LFS = b"version https://git-lfs.github.com/spec/"
_FORBIDDEN = {b"", b".", b"..", b".git"}


class _Pack(Mutable):
    """A pack that grows in a temporary file. entries: (object id, offset, CRC-32) of each object, for its index."""

    file: IO[bytes]
    entries: list[tuple[bytes, int, int]] = field(default_factory=list)

    def add(self, one: ShaFile) -> None:
        data = one.as_raw_string()
        size = len(data)
        byte = one.type_num << 4 | size & 15
        size >>= 4
        header = bytearray()
        while size:
            header.append(byte | 0x80)
            byte = size & 0x7F
            size >>= 7
        header.append(byte)
        stored = bytes(header) + zlib.compress(data, 0)
        self.entries.append((bytes.fromhex(one.id.decode("ascii")), self.file.tell(), zlib.crc32(stored)))
        self.file.write(stored)

    def finish(self) -> bytes:
        """Write the header, whose number of objects is known only now, and the checksum, which is the result."""
        self.file.seek(0)
        self.file.write(struct.pack(">4sLL", b"PACK", 2, len(self.entries)))
        self.file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while chunk := self.file.read(1024**2):
            digest.update(chunk)
        self.file.write(digest.digest())
        return digest.digest()


class Nested(Record):
    """A submodule's checkout in its superproject. name: in `.gitmodules`; origin: its URL without credentials."""

    name: str
    origin: str
    checkout: "Checkout"

    @property
    def notices(self) -> list[str]:
        return self.checkout.notices

    def write(self, tar: TreeTar) -> None:
        self.checkout.write(tar, origin=self.origin)


class Checkout:
    """One commit of one object store.

    files: False for a working tree, whose files its caller adds; then only `.git` is written. submodules: by path.
    notices: sentences for the job's page, complete after `write`.
    """

    def __init__(
        self,
        objects: BaseObjectStore,
        commit_sha: str,
        temporary: Path,
        *,
        files: bool = True,
        submodules: Mapping[str, Nested] | None = None,
    ) -> None:
        self._objects = objects
        self._sha = ObjectID(commit_sha.encode("ascii"))
        self._temporary = temporary
        self._files = files
        self._packed: set[bytes] = set()
        self._index: list[SerializedIndexEntry] = []
        self._mtime = 0
        self._submodules = submodules or {}
        self._pointers: list[str] = []
        self._attributes = Attributes()
        self._not_encoded: list[str] = []

    @property
    def notices(self) -> list[str]:
        found = [notice for one in self._submodules.values() for notice in one.notices]
        if self._pointers:
            some = f"{len(self._pointers)} files are" if len(self._pointers) > 1 else "1 file is"
            found.append(
                f"{some} only pointers of Git LFS ({self._pointers[0]} and so on): their content was not fetched; "
                "a step can fetch it: git lfs pull, with an image that has git-lfs and with a token of its own"
            )
        if self._not_encoded:
            found.append(f"not encoded as .gitattributes asks: {'; '.join(self._not_encoded[:MAX_NAMED])}")
        return found

    def write(
        self,
        tar: TreeTar,
        *,
        origin: str = "",
        branch: str = "",
        tag: GitTag | None = None,
        history: GitHistory | None = None,
    ) -> None:
        """branch: what HEAD names; detached without. tag: the tag that led to the commit. history: None for the commit
        alone."""
        with tempfile.TemporaryFile(dir=self._temporary) as file:
            file.write(bytes(12))
            pack = _Pack(file)
            commit = self._get(self._sha, Commit, "the commit")
            self._mtime = commit.commit_time
            pack.add(commit)
            for one in tag.objects if tag is not None else ():
                pack.add(one)
            self._walk(commit.tree, b"", 0, tar, pack)
            self._write_git(tar, pack, origin, history)
            line = self._sha + b"\n"
            tar.add_bytes(".git/HEAD", f"ref: refs/heads/{branch}\n".encode() if branch else line, self._mtime)
            if branch:
                self._write_ref(tar, f"heads/{branch}", line)
            if tag is not None:
                self._write_ref(tar, f"tags/{tag.name}", tag.sha + b"\n")

    def _get(self, sha: ObjectID, kind: type[Kind], what: str) -> Kind:
        try:
            found = self._objects[sha]
        except KeyError as error:
            raise Permanent(
                "source-unavailable",
                f"{what} ({sha.decode()}) is not in the repository",
                hint="check the repository with: git fsck",
            ) from error
        if not isinstance(found, kind):
            raise Permanent(
                "source-unavailable",
                f"{what} ({sha.decode()}) is not a {kind.__name__.lower()}",
                hint="check the repository with: git fsck",
            )
        return found

    def _walk(self, sha: ObjectID, prefix: bytes, depth: int, tar: TreeTar, pack: _Pack) -> None:
        if depth > MAX_DEPTH:
            what = f"directories are nested deeper than {MAX_DEPTH}"
            raise TooLarge("source-too-large", what, hint="nest the directories of the repository less deeply")
        tree = self._get(sha, Tree, f"the tree of {prefix.decode('utf-8', 'replace') or '/'!r}")
        self._pack(tree, pack)
        with self._attributes.of_directory(prefix.rstrip(b"/"), self._own_attributes(tree)):
            self._entries(tree, prefix, depth, tar, pack)

    def _own_attributes(self, tree: Tree) -> bytes:
        """The content of a directory's `.gitattributes`; b"" where it is none, or a link, which Git ignores."""
        if not self._files or ATTRIBUTES not in tree or tree[ATTRIBUTES][0] & 0o170000 != _FILE:
            return b""
        return self._get(tree[ATTRIBUTES][1], Blob, "a .gitattributes").as_raw_string()

    def _entries(self, tree: Tree, prefix: bytes, depth: int, tar: TreeTar, pack: _Pack) -> None:
        for entry in tree.iteritems():
            name, mode, inner = entry.path, entry.mode, entry.sha
            if name is None or mode is None or inner is None or name.lower() in _FORBIDDEN or b"/" in name:
                what = f"the commit contains a file named {name!r}, which is unsafe"
                raise Permanent("source-unavailable", what, hint="rename or remove the file in a new commit")
            path = prefix + name
            if mode & 0o170000 == _DIRECTORY:
                if self._files:
                    tar.add_directory(_text(path), self._mtime)
                self._walk(inner, path + b"/", depth + 1, tar, pack)
                continue
            self._index.append(_index_entry(path, mode, inner))
            if len(self._index) > MAX_FILES:
                what = f"the commit has more than {MAX_FILES} files"
                raise TooLarge("source-too-large", what, hint="keep fewer files in the repository")
            if mode & 0o170000 == _SUBMODULE:
                if self._files:
                    tar.add_directory(_text(path), self._mtime)
                    if (nested := self._submodules.get(_text(path))) is not None:
                        with tar.below(_text(path)):
                            nested.write(tar)
                continue
            self._blob(path, mode, inner, tar, pack)

    def _blob(self, path: bytes, mode: int, sha: ObjectID, tar: TreeTar, pack: _Pack) -> None:
        blob = self._get(sha, Blob, f"the file {_text(path)!r}")
        data = blob.as_raw_string()
        if len(data) > MAX_BLOB_BYTES:
            raise TooLarge(
                "source-too-large",
                f"{_text(path)!r} has {len(data) // 1024**2} MiB; the limit is {MAX_BLOB_BYTES // 1024**2} MiB",
                hint="keep large data out of the repository, and let a step download it",
            )
        self._pack(blob, pack)
        if not self._files:
            return
        if len(data) < LFS_POINTER_BYTES and data.startswith(_LFS):
            self._pointers.append(_text(path))
        if mode & 0o170000 == _LINK:
            tar.add_link(_text(path), _text(data), self._mtime)
        else:
            tar.add_bytes(_text(path), self._converted(path, data, sha), self._mtime, executable=bool(mode & 0o100))

    def _converted(self, path: bytes, data: bytes, sha: ObjectID) -> bytes:
        converted, problem = self._attributes.convert(path, data, sha)
        if problem:
            self._not_encoded.append(f"{_text(path)}: {problem}")
        return converted

    def _pack(self, one: ShaFile, pack: _Pack) -> None:
        if one.id not in self._packed:
            self._packed.add(one.id)
            pack.add(one)

    def _write_ref(self, tar: TreeTar, name: str, line: bytes) -> None:
        """name: below `refs/`, such as `heads/main`."""
        for parent in _parents(name):
            tar.add_directory(f".git/refs/{parent}", self._mtime)
        tar.add_bytes(f".git/refs/{name}", line, self._mtime)

    def _write_git(self, tar: TreeTar, pack: _Pack, origin: str, history: GitHistory | None) -> None:
        checksum = pack.finish()
        pack_name = f".git/objects/pack/pack-{checksum.hex()}"
        for directory in ("", "/objects", "/objects/pack", "/objects/info", "/refs", "/refs/heads", "/refs/tags"):
            tar.add_directory(f".git{directory}", self._mtime)
        tar.add_bytes(".git/config", _config(origin, self._submodules).encode(), self._mtime)
        index = io.BytesIO()
        write_pack_index_v2(index, sorted(pack.entries), checksum)
        tar.add_bytes(f"{pack_name}.idx", index.getvalue(), self._mtime)
        size = pack.file.seek(0, io.SEEK_END)
        pack.file.seek(0)
        tar.add_open_file(f"{pack_name}.pack", pack.file, size, self._mtime)
        tar.add_bytes(".git/index", _index(self._index), self._mtime)
        boundary: Sequence[ObjectID] = [self._sha]
        if history is not None:
            packed = [ObjectID(sha.hex().encode()) for sha, _, _ in pack.entries]
            boundary = write_history(tar, self._objects, history, self._sha, packed, self._temporary)
        if boundary:
            tar.add_bytes(".git/shallow", b"".join(sha + b"\n" for sha in boundary), self._mtime)


def peeled(objects: BaseObjectStore, sha: ObjectID) -> ObjectID:
    """The commit that an object is, or to which a tag (or a tag of a tag) points. Raises Permanent for none."""
    for _ in range(10):
        try:
            found = objects[sha]
        except KeyError as error:
            what = f"{sha.decode()} is not in the repository"
            raise Permanent("source-unavailable", what, hint="name one of its branches, tags or commits") from error
        if isinstance(found, Commit):
            return found.id
        if not isinstance(found, Tag):
            break
        sha = found.object[1]
    raise Permanent("source-unavailable", f"{sha.decode()} is not a commit", hint="name a branch, a tag or a commit")


def _index_entry(path: bytes, mode: int, sha: ObjectID) -> SerializedIndexEntry:
    if mode & 0o170000 == 0o100000:
        mode = 0o100755 if mode & 0o100 else 0o100644
    return SerializedIndexEntry(path, 0, 0, 0, 0, mode, 0, 0, 0, sha, 0, 0)


def _index(entries: list[SerializedIndexEntry]) -> bytes:
    """Version 2 (gitformat-index): sorted by the whole path, with its checksum."""
    data = io.BytesIO()
    write_index(data, sorted(entries, key=lambda one: one.name), version=2)
    return data.getvalue() + hashlib.sha1(data.getvalue(), usedforsecurity=False).digest()


def _config(origin: str, submodules: Mapping[str, Nested]) -> str:
    text = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
    if origin:
        text += f'[remote "origin"]\n\turl = "{_quoted(origin)}"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    for one in submodules.values():
        text += f'[submodule "{_quoted(one.name)}"]\n\tactive = true\n\turl = "{_quoted(one.origin)}"\n'
    return text


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "")


def _parents(name: str) -> list[str]:
    """The directories of a ref's file below its first one, which exists already."""
    parts = posixpath.dirname(name).split("/")
    return ["/".join(parts[: count + 1]) for count in range(1, len(parts))]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
