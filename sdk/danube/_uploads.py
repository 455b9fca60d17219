"""Streams files of the workspace to the server, as artifacts of the job."""

import glob
import gzip
import io
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from danube._errors import DanubeError
from danube._legs import current_leg
from danube._session import current
from danube._texts import check_texts
from danube._workspace import is_left_out, matches, refuse_outside

CHUNK_BYTES = 256 * 1024

MEMBER_TIME = 315_532_800
"""1980-01-01, the time of each member of an archive: with its own, a second build of the same files would differ."""

MAX_NAMED = 5
"""What is left out is named, so far."""

MAX_SHOWN = 200
"""Characters of a path in a message."""


def attach_sbom(sbom: str, subject: str, name: str) -> None:
    """Keep an SBOM of an artifact or pushed image under a name."""
    keep(sbom, name, subject)


def keep(path: str, name: str, describes: str = "") -> None:
    """What `artifacts.upload` does with a path. describes: of an SBOM, its subject."""
    check_texts("artifact-invalid", {"the name of an artifact": name})
    leg = current_leg()
    keep_of(Path(current().workspace if leg is None else leg.workspace), path, name, describes)


def keep_of(workspace: Path, path: str, name: str, describes: str = "") -> None:
    """The same for a path that is relative to that workspace."""
    session = current()
    found = matches(workspace, path)
    if not found:
        if is_left_out(f"artifact {name}"):
            return
        raise DanubeError(
            "artifact-missing",
            f"no file or directory matches {path!r}",
            hint="the path is relative to /workspace; list it in a step: ls -la",
        )
    if len(found) == 1 and os.path.islink(found[0]) and not glob.has_magic(path):
        found = [_target(workspace, found[0], path)]
    if not any(os.path.isfile(file) or os.path.isdir(file) or os.path.islink(file) for file in found):
        raise DanubeError(
            "artifact-no-file",
            f"{path!r} is neither a file nor a directory",
            cause="pipes, sockets and devices cannot be kept",
            hint="write the artifact's content to a file in a step",
        )
    single = len(found) == 1 and os.path.isfile(found[0])
    if describes and not single:
        raise DanubeError("sbom-invalid", f"{path!r} is not one file", hint='sbom="bom.json"')
    refuse_outside("artifact-outside", workspace, [Path(file) for file in found], followed=single)

    left_out: list[str] = []

    def chunks() -> Iterator[bytes]:
        left_out.clear()  # a repeated upload reads everything again
        return _file_chunks(found[0]) if single else _archive_chunks(workspace, found, left_out)

    ending = Path(found[0]).suffix if single and glob.has_magic(path) else ""
    file_name = f"{name}{_kept(ending, name)}" if single else f"{name}.tar.gz"
    session.upload(session.next_sequence("artifact"), name, file_name, chunks, describes)
    _say_what_is_missing(name, found[0] if single else "", left_out)


def _say_what_is_missing(name: str, single: str, left_out: Sequence[str]) -> None:
    """In the job's log: what of the files the artifact has not. single: the only file, which has no mode in it."""
    if single and os.access(single, os.X_OK):
        text = "is kept without the permission to execute it, which a directory keeps"
        print(f"danube: artifact {name}: {os.path.basename(single)!r} {text}", flush=True)
    if left_out:
        shown = ", ".join(map(repr, left_out[:MAX_NAMED])) + (", …" if len(left_out) > MAX_NAMED else "")
        count = f"{len(left_out)} that {'is' if len(left_out) == 1 else 'are'} neither file, directory nor link"
        print(f"danube: artifact {name} is kept without {count}: {shown}", flush=True)


def _target(workspace: Path, link: str, path: str) -> str:
    """What a link leads to that is named itself: kept as a link it would be of no use. Raises DanubeError."""
    refuse_outside("artifact-outside", workspace, [Path(link)], followed=True)
    if not os.path.exists(link):
        what = f"{path!r} is a link that leads nowhere"
        raise DanubeError("artifact-missing", what, hint="list it in a step: ls -la")
    return os.path.realpath(link)


def _kept(ending: str, name: str) -> str:
    """The ending of the only file that a pattern matches, which the name of the artifact need not have."""
    return ending if re.fullmatch(r"\.[A-Za-z0-9]{1,16}", ending) and not name.endswith(ending) else ""


def _file_chunks(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise _unreadable(path, error) from error


class _Buffer(io.RawIOBase):
    """A file that the archive is written to; `take` removes and returns what was written so far."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._data += data
        return len(data)

    def take(self, at_least: int) -> Iterator[bytes]:
        while len(self._data) >= max(1, at_least):
            yield bytes(self._data[:CHUNK_BYTES])
            del self._data[:CHUNK_BYTES]


def _archive_chunks(workspace: Path, found: Sequence[str], left_out: list[str]) -> Iterator[bytes]:
    """left_out: gets the names of what the archive does not have."""
    buffer = _Buffer()
    base = found[0] if len(found) == 1 else str(workspace)
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in _members(found):
            try:
                if not _add(archive, member, name := os.path.relpath(member, base)):
                    left_out.append(name)
            except OSError as error:
                raise _unreadable(member, error) from error
            yield from buffer.take(CHUNK_BYTES)
    yield from buffer.take(1)


def _add(archive: tarfile.TarFile, member: str, name: str) -> bool:
    """Add a file, a directory or a link, and nothing else; whether it was one. Raises OSError."""
    # typeshed does not know that the result is None for a socket.
    info: tarfile.TarInfo | None = archive.gettarinfo(member, arcname=name)
    if info is None:
        return False
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = MEMBER_TIME
    if info.isreg():
        with open(member, "rb") as file:
            archive.addfile(info, file)
    elif info.isdir() or info.issym() or info.islnk():
        archive.addfile(info)
    else:
        return False
    return True


def _unreadable(path: str, error: OSError) -> DanubeError:
    return DanubeError(
        "artifact-unreadable",
        f"{path if len(path) <= MAX_SHOWN else path[:MAX_SHOWN] + '...'!r} cannot be read",
        cause=error.strerror or str(error),
        hint="let the danubefile's user read it, or pack it in a step",
    )


def _members(found: Sequence[str]) -> Iterator[str]:
    """Every file below these paths, each directory before what is in it. Raises DanubeError for what cannot be read: an
    artifact that lacks files must not look complete."""
    for top in found:
        ahead = [top]
        while ahead:
            path = ahead.pop()
            yield path
            if path == top and (os.path.islink(path) or not os.path.isdir(path)):
                continue
            files, directories = _entries(path)
            yield from files
            ahead += reversed(directories)


def _entries(directory: str) -> tuple[list[str], list[str]]:
    """What is in a directory, sorted: files and links, and directories."""
    try:
        with os.scandir(directory) as entries:
            known = sorted((entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except OSError as error:
        raise _unreadable(directory, error) from error
    return [path for path, is_directory in known if not is_directory], [path for path, inner in known if inner]
