"""Unpacks the source, a tar stream, into the workspace and never outside it.

The server sends the stream, but its content is untrusted: names that leave the tree, and members that would be written
through a link, are refused. Symbolic links are created as they are and never followed.
"""

import contextlib
import functools
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from danube_pkg.kit.trees import remove_tree


class BadSource(Exception):
    """The archive has a member that must not be unpacked."""


class _Stream:
    """The `read` method that tarfile calls, over chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._held += chunk
        data, self._held = self._held[:size], self._held[size:]
        return data


def unpack(chunks: Iterator[bytes], workspace: Path) -> None:
    """Replace the content of the workspace by the tree of the stream, also when an earlier call was interrupted.

    Raises BadSource for a member that must not be unpacked and for a stream that is not a tar archive.
    """
    for left in workspace.iterdir():
        remove_tree(left)
    try:
        _unpack(chunks, workspace)
    except (tarfile.TarError, ValueError) as error:
        raise BadSource(f"the archive cannot be read: {error}") from error


def unpack_artifact(chunks: Iterator[bytes], directory: Path) -> None:
    """Unpack the archive of a directory, as `artifacts.upload` makes it, into an empty directory. Raises BadSource."""
    try:
        _unpack(chunks, directory, with_hard_links=True)
    except (tarfile.TarError, ValueError) as error:
        raise BadSource(f"the archive cannot be read: {error}") from error


def _unpack(chunks: Iterator[bytes], workspace: Path, *, with_hard_links: bool = False) -> None:
    with tarfile.open(fileobj=_Stream(chunks), mode="r|", bufsize=256 * 1024) as archive:  # type: ignore[call-overload]
        directories: list[tuple[Path, int]] = []
        for member in archive:
            path = _path(workspace, member.name)
            if member.isdir():
                if path.is_symlink():
                    raise BadSource(f"{member.name} is a directory here and a link earlier in the archive")
                path.mkdir(exist_ok=True, parents=True)
                directories.append((path, _mode(member.mode, path.stat().st_mode)))
            elif member.issym():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(member.linkname)
            elif member.islnk() and with_hard_links:
                os.link(_path(workspace, member.linkname), path, follow_symlinks=False)
            elif member.isreg():
                _write(archive, member, path)
            else:
                raise BadSource(f"{member.name} is neither a file, a directory nor a symbolic link")
    for path, mode in reversed(directories):
        path.chmod(mode | 0o700)


def _path(workspace: Path, name: str) -> Path:
    parts = Path(name).parts
    if name.startswith("/") or ".." in parts:
        raise BadSource(f"{name} leads out of the tree")
    directory = workspace
    for part in parts[:-1]:
        directory = directory / part
        with contextlib.suppress(FileNotFoundError):
            if os.path.islink(directory):
                raise BadSource(f"{name} would be written through the link {directory.relative_to(workspace)}")
    return workspace.joinpath(*parts)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    if content is None:
        raise BadSource(f"{member.name} has no content")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode & 0o777)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, 256 * 1024)
        os.fchmod(descriptor, _mode(member.mode))
    os.utime(path, (member.mtime, member.mtime))


def _mode(mode: int, own: int = 0) -> int:
    """The mode of a file in the workspace: that of the archive, as Git makes it. own: what the directory got when it
    was created, whose setgid bit stays. Where steps of several users share the tree by its group (the umask leaves the
    group its rights then), it gets the owner's, unless the file was its owner's alone, as keys must be."""
    mode = mode & 0o777 | own & stat.S_ISGID
    return mode | (mode >> 3 & 0o070 if mode & 0o077 and not _umask() & 0o020 else 0)


@functools.cache
def _umask() -> int:
    """The umask of this process, which does not change."""
    current = os.umask(0o077)
    os.umask(current)
    return current
