"""Reads from the header of a program or a shared library which loader and which libraries it needs.

The format is that of the System V ABI (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html): the program
header names the loader (PT_INTERP) and the dynamic section (PT_DYNAMIC), whose entries name libraries (DT_NEEDED) and
where to search for them (DT_RPATH, DT_RUNPATH).
"""

import struct
from pathlib import Path
from typing import IO

from danube_pkg.kit.records import Record

MAX_TABLE_BYTES = 1024**2
"""The bound of a program header or a dynamic section, which have a few kilobytes."""

MAX_STRING_BYTES = 4096
"""The longest name of a library or list of directories: PATH_MAX."""

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29


class BadElf(Exception):
    """A file that has the magic number and cannot be read. str(): the cause."""


class ElfFile(Record):
    """kind: class, byte order and machine; only files of one kind can be loaded together. loader: the absolute path,
    "" for a library. search: directories, which may begin with `$ORIGIN`."""

    kind: tuple[int, int, int]
    loader: str
    needed: tuple[str, ...]
    search: tuple[str, ...]


class _Segment(Record):
    kind: int
    offset: int
    address: int
    size: int


def read_elf(path: Path) -> ElfFile | None:
    """What a file needs; None for a file that is neither a program nor a library. Raises BadElf, OSError."""
    with path.open("rb") as file:
        ident = file.read(16)
        if len(ident) < 16 or ident[:4] != b"\x7fELF":
            return None
        try:
            return _read(file, wide=ident[4] == 2, order="<" if ident[5] == 1 else ">", ident=ident)
        except struct.error as error:
            raise BadElf(f"its header is damaged: {error}") from error


def _read(file: IO[bytes], *, wide: bool, order: str, ident: bytes) -> ElfFile:
    machine = struct.unpack(f"{order}H", _at(file, 18, 2))[0]
    table, size, count = (
        struct.unpack(f"{order}Q14xHH", _at(file, 32, 26))
        if wide
        else struct.unpack(f"{order}I10xHH", _at(file, 28, 18))
    )
    data = _at(file, table, size * count)
    segments = [_segment(data[one * size :], order, wide=wide) for one in range(count)]
    kind = (ident[4], ident[5], machine)
    loader = next((_string(file, one.offset) for one in segments if one.kind == _PT_INTERP), "")
    dynamic = next((one for one in segments if one.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return ElfFile(kind, loader, (), ())
    entries = list(struct.iter_unpack(f"{order}{'qQ' if wide else 'iI'}", _at(file, dynamic.offset, dynamic.size)))
    end = next((at for at, (tag, _) in enumerate(entries) if tag == _DT_NULL), len(entries))
    entries = entries[:end]
    strings = next((_offset_of(value, segments) for tag, value in entries if tag == _DT_STRTAB), 0)

    def texts(wanted: int) -> tuple[str, ...]:
        return tuple(_string(file, strings + value) for tag, value in entries if tag == wanted)

    lists = texts(_DT_RUNPATH) or texts(_DT_RPATH)
    search = tuple(one for text in lists for one in text.split(":") if one)
    return ElfFile(kind, loader, texts(_DT_NEEDED), search)


def _segment(data: bytes, order: str, *, wide: bool) -> _Segment:
    if wide:
        kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", data)
    else:
        kind, offset, address, _, size = struct.unpack_from(f"{order}IIIII", data)
    return _Segment(kind, offset, address, size)


def _offset_of(address: int, segments: list[_Segment]) -> int:
    """Where in the file that is what will be loaded at an address."""
    for one in segments:
        if one.kind == _PT_LOAD and one.address <= address < one.address + one.size:
            return address - one.address + one.offset
    raise BadElf("its strings are outside of what is loaded")


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    if size > MAX_TABLE_BYTES:
        raise BadElf(f"a table of its header has {size} bytes")
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise BadElf("it ends before its header does")
    return data


def _string(file: IO[bytes], offset: int) -> str:
    file.seek(offset)
    text, end, _ = file.read(MAX_STRING_BYTES).partition(b"\0")
    if not end:
        raise BadElf("a name in its header has no end")
    return text.decode(errors="surrogateescape")
