"""Applies layers to a directory tree, as the OCI image specification defines it ("Applying Changesets").

A whiteout hides files of lower layers and never those of its own layer. Modes and times of directories are set after
the last layer, since until then they must be writable.
"""

import contextlib
import os
from typing import NamedTuple

from danube_pkg.adapters.images.packed import LayerBroken, LayerStream
from danube_pkg.adapters.images.tar import Member, MemberKind, end, members, pass_over, shown
from danube_pkg.adapters.images.tree import DirectoryTree, TreePath

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
AUFS = b".wh..wh."
"""Prefix of internal files of the storage driver AUFS, which are ignored."""

DEVICES = (b"dev",)
"""Directory whose device nodes are ignored: a container has its own /dev. Anywhere else they are refused."""

MAX_ID = 65535
UNMAPPED_ID = 65534
"""Owner of files whose owner in the image is not an id of pods (`nobody` on Linux, 65534)."""

IMPLIED_MODE = 0o755
_OWNER_ATTRIBUTE = "user.rootlesscontainers"
"""The attribute in which tools without root store a file's owner (https://github.com/rootless-containers/proto)."""


class _Directory(NamedTuple):
    mode: int
    modified_ns: int | None


class LayerWriter:
    """Writes layers into a tree.

    keep_owners: files get the owners of the image, which needs root; otherwise an extended attribute stores them.
    files: limit for all layers together.
    """

    def __init__(self, tree: DirectoryTree, *, keep_owners: bool, files: int) -> None:
        self._tree = tree
        self._keep_owners = keep_owners
        self._files_left = self._files = files
        self._directories: dict[TreePath, _Directory] = {(): _Directory(IMPLIED_MODE, None)}
        self._written: set[TreePath] = set()

    def apply(self, stream: LayerStream) -> None:
        """Applies all members of one layer. Raises LayerBroken."""
        self._written = set()
        for member in members(stream):
            self._files_left -= 1
            if self._files_left < 0:
                raise LayerBroken(f"the image has more than {self._files} files with it")
            self._apply(stream, member)

    def _apply(self, stream: LayerStream, member: Member) -> None:
        names = self._tree.split(member.path)
        if not names:
            if member.kind is MemberKind.DIRECTORY:
                self._directory((), member)
            return pass_over(stream, member)
        if names[-1].startswith(WHITEOUT):
            self._hide(names)
            return pass_over(stream, member)
        made: list[TreePath] = []
        parent = self._tree.directory(names[:-1], made=made)
        for location in made:
            self._implied(location)
        location = (*parent, names[-1])
        if member.kind is MemberKind.DEVICE:
            if location[:1] != DEVICES:
                raise LayerBroken(f"{shown(member.path)} is a device, which images must not have")
            return None
        self._mark_written(location)
        return self._write(stream, member, location)

    def _mark_written(self, location: TreePath) -> None:
        while location and location not in self._written:
            self._written.add(location)
            location = location[:-1]

    # --- whiteouts

    def _hide(self, names: TreePath) -> None:
        """Applies a whiteout; one without a file to hide is ignored."""
        name, hidden = names[-1], names[-1][len(WHITEOUT) :]
        if name.startswith(AUFS) and name != OPAQUE:
            return
        if hidden in (b"", b".", b".."):
            raise LayerBroken(f"{shown(name)} hides no file")
        try:
            parent = self._tree.directory(names[:-1])
        except FileNotFoundError:
            return
        if name == OPAQUE:
            self._hide_below(parent)
        else:
            self._hide_one((*parent, hidden))

    def _hide_one(self, location: TreePath) -> None:
        if location not in self._written:
            self._remove(location)
        elif location in self._directories:
            self._hide_below(location)

    def _hide_below(self, location: TreePath) -> None:
        for name in self._tree.entries(location):
            self._hide_one((*location, name))

    def _remove(self, location: TreePath) -> None:
        self._tree.remove(location)
        if location in self._directories:
            for other in [one for one in self._directories if one[: len(location)] == location]:
                del self._directories[other]

    # --- files of this layer

    def _write(self, stream: LayerStream, member: Member, location: TreePath) -> None:
        if member.kind is MemberKind.DIRECTORY:
            if location not in self._directories:
                self._remove(location)
                os.mkdir(location[-1], 0o700, dir_fd=self._tree.descriptor(location[:-1]))
            return self._directory(location, member)
        if member.kind is MemberKind.HARD_LINK:
            return self._hard_link(member, location)
        self._remove(location)
        parent, name = self._tree.descriptor(location[:-1]), location[-1]
        if member.kind is MemberKind.FILE:
            return self._file(stream, member, name, parent)
        if member.kind is MemberKind.LINK:
            if not member.link or b"\0" in member.link:
                raise LayerBroken(f"{shown(member.path)} is a link to nothing")
            os.symlink(member.link, name, dir_fd=parent)
        else:
            os.mkfifo(name, 0o600, dir_fd=parent)
        if self._keep_owners:
            os.chown(name, *_owner(member), dir_fd=parent, follow_symlinks=False)
        if member.kind is MemberKind.PIPE:
            os.chmod(name, member.mode, dir_fd=parent)
        os.utime(name, ns=(member.modified_ns, member.modified_ns), dir_fd=parent, follow_symlinks=False)
        return None

    def _file(self, stream: LayerStream, member: Member, name: bytes, parent: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            for piece in stream.copy(member.size):
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            end(stream, member)
            self._own(descriptor, member)
            os.fchmod(descriptor, member.mode)
            os.utime(descriptor, ns=(member.modified_ns, member.modified_ns))
        finally:
            os.close(descriptor)

    def _hard_link(self, member: Member, location: TreePath) -> None:
        names = self._tree.split(member.link)
        if not names:
            raise LayerBroken(f"{shown(member.path)} is a hard link to nothing")
        try:
            source = (*self._tree.directory(names[:-1]), names[-1])
        except FileNotFoundError:
            source = ()
        if not source or self._tree.mode(source) is None:
            raise LayerBroken(f"{shown(member.path)} is a hard link to {shown(member.link)}, which is not in the image")
        if source in self._directories:
            raise LayerBroken(f"{shown(member.path)} is a hard link to the directory {shown(member.link)}")
        if source == location:
            return
        self._remove(location)
        to = os.dup(self._tree.descriptor(location[:-1]))
        try:
            at = self._tree.descriptor(source[:-1])
            os.link(source[-1], location[-1], src_dir_fd=at, dst_dir_fd=to, follow_symlinks=False)
        except FileNotFoundError as error:
            raise LayerBroken(f"{shown(member.path)} is a hard link into what it replaces") from error
        finally:
            os.close(to)

    def _implied(self, location: TreePath) -> None:
        """A directory without a member of its own belongs to root and is readable by all."""
        self._directories[location] = _Directory(IMPLIED_MODE, None)
        self._mark_written(location)
        if self._keep_owners:
            os.chown(self._tree.descriptor(location), 0, 0)

    def _directory(self, location: TreePath, member: Member) -> None:
        self._directories[location] = _Directory(member.mode, member.modified_ns)
        self._own(self._tree.descriptor(location), member)

    def _own(self, descriptor: int, member: Member) -> None:
        user, group = _owner(member)
        if self._keep_owners:
            os.chown(descriptor, user, group)
        elif (user, group) != (0, 0):
            with contextlib.suppress(OSError):  # the file system may not support extended attributes
                os.setxattr(descriptor, _OWNER_ATTRIBUTE, _varint_field(1, user) + _varint_field(2, group))
        for name, value in member.attributes.items():
            if _is_kept(name, keep_owners=self._keep_owners):
                with contextlib.suppress(OSError):
                    os.setxattr(descriptor, name, value)

    def finish(self) -> None:
        """Sets modes and times of all directories after the last layer, the inner ones first."""
        for location in sorted(self._directories, key=len, reverse=True):
            directory = self._directories[location]
            descriptor = self._tree.descriptor(location)
            os.fchmod(descriptor, directory.mode)
            if directory.modified_ns is not None:
                os.utime(descriptor, ns=(directory.modified_ns, directory.modified_ns))


def _owner(member: Member) -> tuple[int, int]:
    user, group = (one if one <= MAX_ID else UNMAPPED_ID for one in (member.user, member.group))
    return user, group


def _is_kept(name: bytes, *, keep_owners: bool) -> bool:
    """Whether an attribute is kept: file capabilities and user attributes, none of overlayfs or security modules."""
    if name == b"security.capability":
        return keep_owners
    return name.startswith(b"user.") and not name.startswith(b"user.overlay.") and name != _OWNER_ATTRIBUTE.encode()


def _varint_field(number: int, value: int) -> bytes:
    """A field of a protocol buffer message; empty for 0, which is the default."""
    if not value:
        return b""
    made = bytearray([number << 3])
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
