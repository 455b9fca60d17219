"""Reads the members of a tar archive: ustar, the extensions of GNU (long names, large numbers), POSIX.1-2001 (pax).

The standard library's reader is not used: an untrusted archive decides how much memory it takes, and it has names as
text, while names in images are bytes. https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple, Protocol

from danube_pkg.adapters.images.packed import LayerBroken

BLOCK_BYTES = 512
MAX_EXTENSION_BYTES = 1024**2
"""Limit of one extended header. A path has 4 KiB at most, extended attributes 64 KiB each."""

_XATTR = b"SCHILY.xattr."
_NO_FIELDS: Mapping[bytes, bytes] = {}


class TarStream(Protocol):
    """The source of an archive. `take` returns exactly `size` bytes, or b"" at the end; `pass_over` skips them."""

    def take(self, size: int) -> bytes: ...
    def pass_over(self, size: int) -> None: ...


class MemberKind(Enum):
    """The kinds of members that are supported."""

    FILE = "file"
    HARD_LINK = "hard link"
    LINK = "link"
    DEVICE = "device"
    DIRECTORY = "directory"
    PIPE = "named pipe"


_KINDS = {
    b"0": MemberKind.FILE, b"\0": MemberKind.FILE, b"7": MemberKind.FILE, b"1": MemberKind.HARD_LINK, b"2": MemberKind.LINK, b"3": MemberKind.DEVICE,
    b"4": MemberKind.DEVICE, b"5": MemberKind.DIRECTORY, b"6": MemberKind.PIPE,
}  # fmt: skip


class Member(NamedTuple):
    """One entry. path, link: as in the archive. modified_ns: nanoseconds since 1970.

    No record: to import their library takes as long as all else that the unpacking process imports.
    """

    path: bytes
    kind: MemberKind
    size: int
    mode: int
    user: int
    group: int
    modified_ns: int
    link: bytes = b""
    attributes: Mapping[bytes, bytes] = _NO_FIELDS


def members(stream: TarStream) -> Iterator[Member]:
    """The members in order. The caller must read each one's content and call `end`, or call `pass_over`."""
    global_fields: dict[bytes, bytes] = {}
    fields: Mapping[bytes, bytes] = _NO_FIELDS
    names: dict[bytes, bytes] = {}
    while True:
        block = stream.take(BLOCK_BYTES)
        if not block or not block.strip(b"\0"):
            return
        _check_sum(block)
        flag, size = block[156:157], _number(block[124:136])
        if flag in (b"x", b"g"):
            found = _records(_extension(stream, size))
            if flag == b"g":
                global_fields |= found
            else:
                fields = found
        elif flag in (b"L", b"K"):
            names[flag] = _extension(stream, size).rstrip(b"\0")
        else:
            yield _member(block, flag, {**global_fields, **fields}, names)
            fields, names = _NO_FIELDS, {}


def pass_over(stream: TarStream, member: Member) -> None:
    """Skips a member's content."""
    stream.pass_over(member.size + _padding(member))


def end(stream: TarStream, member: Member) -> None:
    """Skips the padding after a member's content."""
    stream.pass_over(_padding(member))


def _padding(member: Member) -> int:
    return -member.size % BLOCK_BYTES


def _member(block: bytes, flag: bytes, fields: Mapping[bytes, bytes], names: Mapping[bytes, bytes]) -> Member:
    path = fields.get(b"path") or names.get(b"L") or _name(block)
    if flag == b"S" or any(key.startswith(b"GNU.sparse.") for key in fields):
        raise LayerBroken(f"{shown(path)} is a sparse file, which is not supported")
    kind = _KINDS.get(flag)
    if kind is None:
        raise LayerBroken(f"{shown(path)} is of the unknown kind {flag!r}")
    if kind is MemberKind.FILE and path.endswith(b"/"):
        kind = MemberKind.DIRECTORY  # the convention before there was a flag
    size = _decimal(fields[b"size"]) if b"size" in fields else _number(block[124:136])
    return Member(
        path=path,
        kind=kind,
        size=size if kind is MemberKind.FILE else 0,
        mode=_number(block[100:108]) & 0o7777,
        user=_decimal(fields[b"uid"]) if b"uid" in fields else _number(block[108:116]),
        group=_decimal(fields[b"gid"]) if b"gid" in fields else _number(block[116:124]),
        modified_ns=_time(fields[b"mtime"]) if b"mtime" in fields else _number(block[136:148]) * 10**9,
        link=fields.get(b"linkpath") or names.get(b"K") or block[157:257].partition(b"\0")[0],
        attributes={key[len(_XATTR) :]: value for key, value in fields.items() if key.startswith(_XATTR)},
    )


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        return prefix + b"/" + name
    return name


def _extension(stream: TarStream, size: int) -> bytes:
    if size > MAX_EXTENSION_BYTES:
        raise LayerBroken(f"it has an extended header of {size} bytes, the limit is {MAX_EXTENSION_BYTES}")
    data = stream.take(size + -size % BLOCK_BYTES)
    if len(data) < size:
        raise LayerBroken("its archive ends in an extended header")
    return data[:size]


def _records(data: bytes) -> dict[bytes, bytes]:
    """Parses records `length key=value\\n`, where the length counts the whole record."""
    found, at = {}, 0
    while at < len(data) and data[at : at + 1] != b"\0":
        space = data.find(b" ", at, at + 20)
        length = _decimal(data[at:space]) if space > at else 0
        record = data[space + 1 : at + length]
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n":
            raise LayerBroken("it has an extended header that cannot be read")
        found[key] = value
        at += length
    return found


def _check_sum(block: bytes) -> None:
    stored = block[148:156].strip(b" \0")
    counted = sum(block) - sum(block[148:156]) + 8 * 32
    signed = counted - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    if not stored.isdigit() or b"8" in stored or b"9" in stored or int(stored, 8) not in (counted, signed):
        raise LayerBroken("it is not a tar archive, or it is damaged")


def _number(data: bytes) -> int:
    """Octal digits, or GNU's base 256 if the first bit is set."""
    if data[0] & 0x80:
        value = int.from_bytes(bytes([data[0] & 0x7F]) + data[1:], "big")
        if data[0] & 0x40:
            value -= 1 << (8 * len(data) - 1)
        return max(0, value)
    text = data.partition(b"\0")[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError as error:
        raise LayerBroken(f"{shown(text)} is not a number in its archive") from error


def _decimal(data: bytes) -> int:
    if not data.isdigit() or len(data) > 19:
        raise LayerBroken(f"{shown(data)} is not a number in its archive")
    return int(data)


def _time(data: bytes) -> int:
    seconds, _, fraction = data.partition(b".")
    whole = -_decimal(seconds[1:]) if seconds.startswith(b"-") else _decimal(seconds)
    return whole * 10**9 + _decimal((fraction + b"0" * 9)[:9])


def shown(name: bytes) -> str:
    """A name for messages, shortened, with escapes for bytes that are not text."""
    text = name.decode(errors="backslashreplace")
    return repr(text if len(text) <= 200 else f"{text[:197]}…")
