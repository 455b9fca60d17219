"""Reads and changes what the dynamic loader uses of a 64-bit ELF file: the libraries that it needs, where it searches
for them, and the versions of their symbols.

Source: System V ABI, chapters "Program Loading" and "Dynamic Linking"; the versions of symbols: Linux Standard Base
Core 5.0, 10.7. Only little-endian files, as both released architectures have.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from danube_pkg.kit.records import Record

_MAGIC = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRTAB, _RPATH, _RUNPATH, _VERNEED, _VERNEEDNUM = 1, 5, 15, 29, 0x6FFFFFFE, 0x6FFFFFFF
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")

Glibc = tuple[int, int]
"""A version of the GNU C library, such as (2, 28)."""


class Dynamic(Record):
    """needed: names of libraries. search: the directories of RPATH or RUNPATH. glibc: the newest version of a symbol of
    the GNU C library, None where it uses none."""

    needed: Sequence[str]
    search: Sequence[str]
    glibc: Glibc | None


def read_dynamic(file: Path) -> Dynamic | None:
    """None for a file that is not such a program or library, or that needs no dynamic loader."""
    with file.open("rb") as opened:
        if opened.read(len(_MAGIC)) != _MAGIC:
            return None
    return _Elf(file.read_bytes()).described()


def set_search(file: Path, directories: str) -> None:
    """Let the loader search these directories, also for the libraries that those libraries need (RPATH).

    Does nothing for a file without a search path. The text is written over the present one: raises ValueError where
    that is shorter.
    """
    elf = _Elf(file.read_bytes())
    for place, tag, value in elf.entries:
        if tag in (_RPATH, _RUNPATH):
            old = elf.text(value)
            if len(directories) > len(old):
                raise ValueError(f"{file} has no room for {directories} in place of {old}")
            data = bytearray(elf.data)
            struct.pack_into("<Q", data, place, _RPATH)
            start = elf.strings + value
            data[start : start + len(old)] = directories.encode().ljust(len(old), b"\0")
            file.chmod(file.stat().st_mode | 0o200)
            file.write_bytes(data)
            return


class _Elf:
    """entries: (offset in the file, tag, value) of the dynamic section. strings: offset of its texts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
        headers = [struct.unpack_from("<IIQQQQQQ", data, offset + number * size) for number in range(count)]
        self._loads: list[tuple[int, int, int]] = [
            (address, start, length) for kind, _, start, address, _, length, _, _ in headers if kind == _LOAD
        ]
        self.entries: list[tuple[int, int, int]] = []
        for kind, _, start, _, _, length, _, _ in headers:
            if kind == _DYNAMIC:
                places = range(start, start + length, 16)
                self.entries = [(place, *struct.unpack_from("<QQ", data, place)) for place in places]
        self.strings = self._offset({tag: value for _, tag, value in self.entries}.get(_STRTAB, 0))

    def described(self) -> Dynamic | None:
        if not self.entries:
            return None
        needed = [self.text(value) for _, tag, value in self.entries if tag == _NEEDED]
        search = [self.text(value) for _, tag, value in self.entries if tag in (_RPATH, _RUNPATH)]
        versions = [(int(one[1]), int(one[2])) for text in self._versions() if (one := _GLIBC.fullmatch(text))]
        return Dynamic(needed, ":".join(search).split(":") if search else [], max(versions, default=None))

    def text(self, offset: int) -> str:
        start = self.strings + offset
        return self.data[start : self.data.index(b"\0", start)].decode()

    def _versions(self) -> Iterator[str]:
        """The names of the versions that it needs, of all libraries."""
        values = {tag: value for _, tag, value in self.entries}
        if _VERNEED not in values:
            return
        place = self._offset(values[_VERNEED])
        for _ in range(values[_VERNEEDNUM]):
            _, count, _, first, following = struct.unpack_from("<HHIII", self.data, place)
            at = place + first
            for _ in range(count):
                _, _, _, name, further = struct.unpack_from("<IHHII", self.data, at)
                yield self.text(name)
                at += further
            place += following

    def _offset(self, address: int) -> int:
        """The place in the file of an address in memory."""
        for start, offset, length in self._loads:
            if start <= address < start + length:
                return address - start + offset
        return address
