"""Layers applied to a tree, one on the other, as the OCI image specification says ("Applying Changesets").

A whiteout hides what lower layers have and never what its own layer brings. Modes and times of directories are set when all
layers are applied, since until then their owner must be able to write into them.
"""

import contextlib
import os

from danube_pkg.adapters.images.packed import LayerBroken, LayerStream
from danube_pkg.adapters.images.tar import Member, MemberKind, end, members, pass_over, shown
from danube_pkg.adapters.images.tree import DirectoryTree, Place
from danube_pkg.kit.records import Mutable

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
AUFS = b".wh..wh."
"""How the notes begin that an old storage kept for itself; nothing in them concerns an image."""

DEVICES = (b"dev",)
"""Where device nodes are passed over: a container has its own /dev. Anywhere else they are refused."""

MAX_ID = 65535
NOBODY = 65534
"""Who owns what is of an id that no pod has."""

IMPLIED_MODE = 0o755
_OWNER_NOTE = "user.rootlesscontainers"
"""The extended attribute in which tools without root keep an owner (https://github.com/rootless-containers/proto)."""


class _Directory(Mutable):
    mode: int
    modified_ns: int | None


class LayerWriter:
    """keep_owners: files get the owners that the image says, which only root can give; else a note of them.

    files: how many there may be of all layers together.
    """

    def __init__(self, tree: DirectoryTree, *, keep_owners: bool, files: int) -> None:
        self._tree = tree
        self._keep_owners = keep_owners
        self._files_left = self._files = files
        self._directories: dict[Place, _Directory] = {(): _Directory(IMPLIED_MODE, None)}
        self._brought: set[Place] = set()

    def apply(self, stream: LayerStream) -> None:
        """All members of one layer. Raises LayerBroken."""
        self._brought = set()
        for member in members(stream):
            self._files_left -= 1
            if self._files_left < 0:
                raise LayerBroken(f"it brings the image to more than {self._files} files")
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
        made: list[Place] = []
        parent = self._tree.directory(names[:-1], made=made)
        for place in made:
            self._implied(place)
        place = (*parent, names[-1])
        if member.kind is MemberKind.DEVICE:
            if place[:1] != DEVICES:
                raise LayerBroken(f"{shown(member.path)} is a device, which no image may bring")
            return None
        self._bring(place)
        return self._write(stream, member, place)

    def _bring(self, place: Place) -> None:
        while place and place not in self._brought:
            self._brought.add(place)
            place = place[:-1]

    # --- what lower layers have

    def _hide(self, names: Place) -> None:
        """What a whiteout says, where there is anything to hide."""
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

    def _hide_one(self, place: Place) -> None:
        if place not in self._brought:
            self._remove(place)
        elif place in self._directories:
            self._hide_below(place)

    def _hide_below(self, place: Place) -> None:
        for name in self._tree.entries(place):
            self._hide_one((*place, name))

    def _remove(self, place: Place) -> None:
        self._tree.remove(place)
        if place in self._directories:
            for other in [one for one in self._directories if one[: len(place)] == place]:
                del self._directories[other]

    # --- what this layer brings

    def _write(self, stream: LayerStream, member: Member, place: Place) -> None:
        if member.kind is MemberKind.DIRECTORY:
            if place not in self._directories:
                self._remove(place)
                os.mkdir(place[-1], 0o700, dir_fd=self._tree.descriptor(place[:-1]))
            return self._directory(place, member)
        if member.kind is MemberKind.HARD_LINK:
            return self._hard_link(member, place)
        self._remove(place)
        parent, name = self._tree.descriptor(place[:-1]), place[-1]
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

    def _hard_link(self, member: Member, place: Place) -> None:
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
        if source == place:
            return
        self._remove(place)
        to = os.dup(self._tree.descriptor(place[:-1]))
        try:
            at = self._tree.descriptor(source[:-1])
            os.link(source[-1], place[-1], src_dir_fd=at, dst_dir_fd=to, follow_symlinks=False)
        except FileNotFoundError as error:
            raise LayerBroken(f"{shown(member.path)} is a hard link into what it replaces") from error
        finally:
            os.close(to)

    def _implied(self, place: Place) -> None:
        """A directory that no member names: root's, and open to all."""
        self._directories[place] = _Directory(IMPLIED_MODE, None)
        self._bring(place)
        if self._keep_owners:
            os.chown(self._tree.descriptor(place), 0, 0)

    def _directory(self, place: Place, member: Member) -> None:
        self._directories[place] = _Directory(member.mode, member.modified_ns)
        self._own(self._tree.descriptor(place), member)

    def _own(self, descriptor: int, member: Member) -> None:
        user, group = _owner(member)
        if self._keep_owners:
            os.chown(descriptor, user, group)
        elif (user, group) != (0, 0):
            with contextlib.suppress(OSError):  # a file system without attributes keeps the file all the same
                os.setxattr(descriptor, _OWNER_NOTE, _varint_field(1, user) + _varint_field(2, group))
        for name, value in member.attributes.items():
            if _is_kept(name, keep_owners=self._keep_owners):
                with contextlib.suppress(OSError):
                    os.setxattr(descriptor, name, value)

    def finish(self) -> None:
        """After the last layer: the modes and times of all directories, the inner ones first."""
        for place in sorted(self._directories, key=len, reverse=True):
            directory = self._directories[place]
            descriptor = self._tree.descriptor(place)
            os.fchmod(descriptor, directory.mode)
            if directory.modified_ns is not None:
                os.utime(descriptor, ns=(directory.modified_ns, directory.modified_ns))


def _owner(member: Member) -> tuple[int, int]:
    user, group = (one if one <= MAX_ID else NOBODY for one in (member.user, member.group))
    return user, group


def _is_kept(name: bytes, *, keep_owners: bool) -> bool:
    """Capabilities of files, and what users note; never what steers an overlay or a security module of this machine."""
    if name == b"security.capability":
        return keep_owners
    return name.startswith(b"user.") and not name.startswith(b"user.overlay.") and name != _OWNER_NOTE.encode()


def _varint_field(number: int, value: int) -> bytes:
    """A field of a protocol buffer message; nothing where it is 0, which is the default."""
    if not value:
        return b""
    made = bytearray([number << 3])
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
