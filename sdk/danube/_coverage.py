"""Reads coverage of lines: Cobertura's XML and lcov's tracefiles.

The files come from programs of the repository. Expat reads XML as a stream; entities are refused, and a document type
that defines something, so that nothing is expanded and nothing outside of the file is read. Files, lines and bytes are
bounded.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from danube._errors import DanubeError

MAX_FILE_BYTES = 64 * 1024**2
MAX_FILES = 100_000
MAX_LINES = 5_000_000
MAX_NAMED = 200
MAX_NAME_BYTES = 300
_CHUNK_BYTES = 256 * 1024


@dataclass
class LineCoverage:
    """Numbers of lines that could be run, and of those that were, by file."""

    files: dict[str, tuple[set[int], set[int]]] = field(default_factory=dict)
    _count: int = 0

    def add(self, file: str, line: int, hits: int) -> None:
        """A line that several reports name was run if it was in one of them. Raises ValueError above the bounds."""
        if file not in self.files and len(self.files) >= MAX_FILES:
            raise ValueError(f"it names more than {MAX_FILES} files")
        total, covered = self.files.setdefault(file, (set(), set()))
        if line not in total:
            self._count += 1
            if self._count > MAX_LINES:
                raise ValueError(f"it names more than {MAX_LINES} lines")
            total.add(line)
        if hits > 0:
            covered.add(line)

    @property
    def covered(self) -> int:
        return sum(len(covered) for _, covered in self.files.values())

    @property
    def total(self) -> int:
        return sum(len(total) for total, _ in self.files.values())

    def worst(self) -> list[tuple[str, int, int]]:
        """File, covered and all lines of those with the most lines that were not run; at most MAX_NAMED."""
        found = [(file, len(covered), len(total)) for file, (total, covered) in self.files.items()]
        return sorted(found, key=lambda one: (one[1] - one[2], one[0]))[:MAX_NAMED]


def read_coverage(files: Iterable[str], shown: Callable[[str], str]) -> LineCoverage:
    """shown: a file's path in messages. Raises DanubeError, OSError."""
    found = LineCoverage()
    for file in files:
        try:
            with open(file, "rb") as opened:
                is_xml = opened.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
            (_read_cobertura if is_xml else _read_lcov)(file, found)
        except (expat.ExpatError, ValueError) as error:
            what, hint = (
                f"{shown(file)} is neither a Cobertura report nor an lcov tracefile",
                "coverage xml; lcov -c -o f",
            )
            raise DanubeError("report-invalid", what, cause=str(error), hint=hint) from error
    return found


def _read_cobertura(path: str, found: LineCoverage) -> None:
    """Raises ValueError, ExpatError, OSError."""
    parser, state = expat.ParserCreate(), _Cobertura(found)
    parser.StartDoctypeDeclHandler = _refuse_definitions
    parser.EntityDeclHandler = _refuse_entity
    parser.StartElementHandler = state.start
    parser.EndElementHandler = state.end
    for chunk in _chunks(path):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)


class _Cobertura:
    """The element `class` names a file; the lines of its methods are among its own."""

    def __init__(self, found: LineCoverage) -> None:
        self._found = found
        self._file = ""
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != "coverage":
            raise ValueError(f"its root is {tag[:60]!r}, not 'coverage'")
        if tag == "class":
            self._file = _bounded(attributes.get("filename", "") or attributes.get("name", ""))
        elif tag == "line" and self._file:
            self._found.add(self._file, _whole(attributes.get("number", "")), _whole(attributes.get("hits", "")))

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "class":
            self._file = ""


def _read_lcov(path: str, found: LineCoverage) -> None:
    """Raises ValueError, OSError. The format: man 1 geninfo."""
    file = ""
    for line in _lines(path):
        kind, _, value = line.partition(":")
        if kind == "SF":
            file = _bounded(value)
        elif kind == "DA" and file:
            number, _, rest = value.partition(",")
            found.add(file, _whole(number), _whole(rest.partition(",")[0]))
        elif kind == "end_of_record":
            file = ""
    if not found.files:
        raise ValueError("it has no record SF:")


def _lines(path: str) -> Iterator[str]:
    held = b""
    for chunk in _chunks(path):
        *lines, held = (held + chunk).split(b"\n")
        if len(held) > _CHUNK_BYTES:
            raise ValueError("it has a line of more than 256 KiB")
        yield from (line.decode(errors="replace").strip() for line in lines)
    yield held.decode(errors="replace").strip()


def _chunks(path: str) -> Iterator[bytes]:
    size = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                raise ValueError(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
            yield chunk


def _refuse_definitions(name: str, system: str | None, public: str | None, internal: int) -> None:
    if internal:
        raise ValueError("its document type defines something, which could be entities")


def _refuse_entity(*declared: object) -> None:
    raise ValueError("it defines an entity")


def _bounded(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")


def _whole(text: str) -> int:
    """0 for what is not a number; hits of long runs are large."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0
