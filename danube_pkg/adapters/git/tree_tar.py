"""An uncompressed tar of a source tree, written to a pipe: deterministic, independent of this machine, file by file.

Names are sorted by the caller, owners are 0 without names, modes are 0755 or 0644 as in Git. Exceeding a bound raises
TooLarge. The end marker is written only after the whole tree, so that readers detect a broken stream.
"""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from danube_pkg.adapters.git.limits import CHUNK_BYTES, MAX_FILES, MAX_TREE_BYTES
from danube_pkg.core.errors import Permanent, TooLarge, Unavailable


class TreeTar:
    """Writes entries to `output`, and limits their number and size."""

    def __init__(self, output: IO[bytes]) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `close`, and only when everything was written
            fileobj=output,
            mode="w|",
            bufsize=CHUNK_BYTES,
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self._files = 0
        self._bytes = 0
        self._prefix = ""

    @contextmanager
    def below(self, directory: str) -> Iterator[None]:
        """Entries that are added in the block are placed in that directory."""
        outer, self._prefix = self._prefix, f"{self._prefix}{directory}/"
        try:
            yield
        finally:
            self._prefix = outer

    def add_directory(self, name: str, mtime: int) -> None:
        self._add(_info(name, tarfile.DIRTYPE, 0o755, mtime), None)

    def add_bytes(self, name: str, data: bytes, mtime: int, *, executable: bool = False) -> None:
        info = _info(name, tarfile.REGTYPE, 0o755 if executable else 0o644, mtime)
        info.size = len(data)
        self._add(info, io.BytesIO(data))

    def add_link(self, name: str, target: str, mtime: int) -> None:
        info = _info(name, tarfile.SYMTYPE, 0o777, mtime)
        info.linkname = target
        self._add(info, None)

    def add_open_file(self, name: str, file: IO[bytes], size: int, mtime: int, *, executable: bool = False) -> None:
        """A file of known size. What is appended meanwhile is left out; raises Unavailable where it becomes shorter."""
        info = _info(name, tarfile.REGTYPE, 0o755 if executable else 0o644, mtime)
        info.size = size
        try:
            self._add(info, file)
        except tarfile.ReadError as error:
            raise _changed(name) from error
        except OSError as error:
            if error.args and error.args[0] == "unexpected end of data":
                raise _changed(name) from error
            raise

    def add_path(self, name: str, path: Path) -> None:
        """A file, a link or a directory's entry from disk; sockets, pipes and devices are left out.

        Raises Permanent for what cannot be read, Unavailable for what changes meanwhile.
        """
        try:
            found = path.lstat()
            mtime = int(found.st_mtime)
            if stat.S_ISLNK(found.st_mode):
                self.add_link(name, os.readlink(path), mtime)
            elif stat.S_ISDIR(found.st_mode):
                self.add_directory(name, mtime)
            elif stat.S_ISREG(found.st_mode):
                with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as file:
                    size = os.fstat(file.fileno()).st_size
                    self.add_open_file(name, file, size, mtime, executable=bool(found.st_mode & 0o100))
        except FileNotFoundError as error:
            raise Unavailable(
                "source-changed",
                f"{name!r} vanished while it was read",
                hint="restart the job when no other program writes into the directory",
            ) from error
        except PermissionError as error:
            raise Permanent(
                "source-unavailable",
                f"{name!r} cannot be read",
                cause=error.strerror or "",
                hint=f"let Danube's user read it: chmod a+r {path}",
            ) from error

    def close(self) -> None:
        self._tar.close()

    def _add(self, info: tarfile.TarInfo, file: IO[bytes] | None) -> None:
        self._files += 1
        self._bytes += info.size
        if self._files > MAX_FILES:
            raise TooLarge(
                "source-too-large", f"the source has more than {MAX_FILES} files", hint="is it the right directory?"
            )
        if self._bytes > MAX_TREE_BYTES:
            raise TooLarge(
                "source-too-large",
                f"the source has more than {MAX_TREE_BYTES // 1024**3} GiB, reached at {info.name!r}",
                hint="ignore build output (.gitignore), and let a step download large data",
            )
        info.name = f"{self._prefix}{info.name}"
        self._tar.addfile(info, file)


def _info(name: str, kind: bytes, mode: int, mtime: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    info.mtime = mtime
    return info


def _changed(name: str) -> Unavailable:
    return Unavailable(
        "source-changed",
        f"{name!r} became shorter while it was read",
        hint="restart the job when no other program writes into the directory",
    )
