"""The archive of a backup: tar, compressed with gzip. `backup.json` is first, then the files, at last SHA256SUMS.

Reading checks each name, type and checksum, so that an archive that was changed or cut off is refused, and none can
write outside the directory into which it is restored.
"""

import gzip
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from danube_pkg.core.errors import Permanent
from danube_pkg.kit.records import Record, decode_json, encode_json

FORMAT = 1
HEAD, SUMS = "backup.json", "SHA256SUMS"
COPY_BYTES = 1024**2
MAX_HEAD_BYTES = 64 * 1024
MAX_SUMS_BYTES = 1024**3
"""A million files have about 100 MB."""

LEVEL = 1
"""For gzip: logs shrink to a tenth at 100 MB/s; higher levels gain little and take several times as long."""

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,254}"
_NAME = re.compile(rf"danube\.db|keys/{_WORD}(/{_WORD})?|logs/{_WORD}|artifacts/{_WORD}/{_WORD}")


class BackupHead(Record):
    """What a backup is of. danube: the version that made it. created_at: Unix seconds. includes: `logs`, `artifacts`.
    directory: the identity of the data directory."""

    format: int
    danube: str
    schema: int
    created_at: float
    directory: str
    includes: tuple[str, ...]


class BackupCounts(Record):
    """The files in a backup, and their size before compression."""

    files: int
    size_bytes: int


def write_archive(out: BinaryIO, head: BackupHead, files: Iterable[tuple[str, Path]]) -> BackupCounts:
    """files: names in the archive with their files, which may grow meanwhile; one that vanishes is left out."""
    sums: list[str] = []
    size = 0
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=cast("Any", packed), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, HEAD, encode_json(head))
        for name, path in files:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                info = tarfile.TarInfo(name)
                info.size, info.mode = os.fstat(file.fileno()).st_size, 0o600
                hashed = _Hashed(file)
                tar.addfile(info, cast("Any", hashed))
                sums.append(f"{hashed.digest}  {name}\n")
                size += info.size
        _add(tar, SUMS, "".join(sums).encode())
    return BackupCounts(len(sums), size)


def read_archive(source: IO[bytes], store: Callable[[str, BackupHead], BinaryIO]) -> tuple[BackupHead, BackupCounts]:
    """store: opens the file that a name of the archive is written to. Raises Permanent for an archive that is damaged
    or was not made by Danube."""
    head: BackupHead | None = None
    sums: dict[str, str] = {}
    size, is_whole = 0, False
    with (
        _damage(),
        gzip.GzipFile(fileobj=source, mode="rb") as packed,
        tarfile.open(fileobj=cast("Any", packed), mode="r|") as tar,
    ):
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            if content is None or is_whole:
                raise _damaged(f"{info.name!r} does not belong to a backup")
            if head is None:
                head = _head(info, content)
            elif info.name == SUMS and info.size <= MAX_SUMS_BYTES:
                _check_sums(content.read().decode(), sums)
                is_whole = True
            elif _NAME.fullmatch(info.name) and info.name not in sums:
                with store(info.name, head) as target:
                    sums[info.name] = _copy(content, target)
                size += info.size
            else:
                raise _damaged(f"{info.name!r} does not belong to a backup")
        while packed.read(COPY_BYTES):  # to the end, where gzip has a checksum of everything
            continue
    if head is None or not is_whole:
        raise _damaged("its end is missing")
    return head, BackupCounts(len(sums), size)


class _Hashed:
    """A file whose content is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._hash.update(data)
        return data

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


def _head(info: tarfile.TarInfo, content: IO[bytes]) -> BackupHead:
    if info.name != HEAD or info.size > MAX_HEAD_BYTES:
        raise _damaged(f"it does not begin with {HEAD}")
    head = decode_json(content.read(), BackupHead)
    if head.format != FORMAT:
        raise Permanent(
            "backup-newer",
            f"this backup has format {head.format}, this program reads {FORMAT}",
            cause=f"Danube {head.danube} made it",
            hint="restore it with the version that made it",
        )
    return head


def _check_sums(text: str, found: dict[str, str]) -> None:
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}
    if wanted != found:
        wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise _damaged(f"the checksum of {wrong[0]} differs")


def _copy(content: IO[bytes], target: BinaryIO) -> str:
    hash_ = hashlib.sha256()
    while data := content.read(COPY_BYTES):
        hash_.update(data)
        target.write(data)
    return hash_.hexdigest()


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise _damaged(str(error)) from error
    except OSError as error:
        if error.errno is None:  # of gzip
            raise _damaged(str(error)) from error
        raise


def _damaged(cause: str) -> Permanent:
    return Permanent(
        "backup-damaged", "this is not a whole backup", cause=cause, hint="use another backup: danube restore FILE"
    )
