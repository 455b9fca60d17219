"""What `danube-step shell` reads on its standard input; `supervisor/step/shell.h` has the meaning of each record."""

import struct
from collections.abc import Mapping

from danube_pkg.kit.records import Record

MAX_INPUT_BYTES = 60_000
"""In one record; the program takes 64 KiB with its head."""

_HEAD = struct.Struct("<cI")
_SIZE = struct.Struct("<HH")


class TerminalSize(Record):
    """The size of the window that shows a terminal, in characters."""

    rows: int
    columns: int


def start_of_shell(environment: Mapping[str, str], directory: str, terminal: TerminalSize | None) -> bytes:
    """The records that start a shell. terminal: None for one that reads its commands from a pipe."""
    variables = [_record(b"E", f"{name}={value}".encode()) for name, value in environment.items()]
    size = [size_of_terminal(terminal)] if terminal is not None else []
    return b"".join([*variables, _record(b"D", directory.encode()), *size, _record(b"S")])


def size_of_terminal(size: TerminalSize) -> bytes:
    """The size that a shell's terminal has from now on."""
    return _record(b"W", _SIZE.pack(size.rows, size.columns))


def input_of_shell(data: bytes) -> bytes:
    """Input of any length."""
    pieces = range(0, len(data), MAX_INPUT_BYTES)
    return b"".join(_record(b"I", data[at : at + MAX_INPUT_BYTES]) for at in pieces)


def end_of_input() -> bytes:
    """No input follows."""
    return _record(b"Z")


def _record(kind: bytes, text: bytes = b"") -> bytes:
    return _HEAD.pack(kind, len(text)) + text
