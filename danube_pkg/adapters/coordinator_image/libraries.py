"""Finds the shared libraries that programs need, as the loader of this machine does (ld.so(8)).

It reads headers and runs nothing: `ldd` would run the program.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from danube_pkg.adapters.coordinator_image.elf import BadElf, ElfFile, read_elf
from danube_pkg.kit.records import Record

MAX_LIBRARIES = 1000
"""Libraries of one image; an interpreter with all its modules has about thirty."""

MAX_INCLUDES = 200
"""Files that the loader's configuration includes."""

_USUAL = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")

OPENED_LATER = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2")
"""Libraries that no header names, because the C library opens them itself: to end a thread, and to resolve a name
where it is older than glibc 2.34."""


class LibraryMissing(Exception):
    """A library that this machine does not have. str(): which, and of which file."""


class Library(Record):
    """name: by which others need it. path: the file."""

    name: str
    path: Path


class LibraryFinder:
    """Libraries for files of one kind. directories: searched before the system's own. trees: directories that are
    copied as they are, with the libraries in them."""

    def __init__(
        self, kind: tuple[int, int, int], directories: Sequence[Path] = (), trees: Sequence[Path] = ()
    ) -> None:
        self._kind = kind
        self._directories = [*directories, *system_directories()]
        self._trees = [tree.resolve() for tree in trees]

    def closure(self, path: Path, known: ElfFile) -> Sequence[Library]:
        """The libraries that a file needs, directly or by another one, but those that it finds by `$ORIGIN` within
        `trees`. Raises LibraryMissing, BadElf, OSError."""
        found: dict[str, Library] = {}
        waiting: list[tuple[Path, ElfFile, tuple[Path, ...]]] = [(path, known, ())]
        while waiting:
            by, elf, inherited = waiting.pop()
            own = tuple(_expanded(one, by) for one in elf.search)
            for name in elf.needed:
                if name in found or self._is_beside(name, elf, by):
                    continue
                library = self.find(name, (*own, *inherited))
                if library is None:
                    raise LibraryMissing(f"{by} needs {name}")
                found[name] = library
                if len(found) > MAX_LIBRARIES:
                    raise LibraryMissing(f"{path} needs more than {MAX_LIBRARIES} libraries")
                needed = read_elf(library.path)
                if needed is not None:
                    waiting.append((library.path, needed, (*own, *inherited)))
        return list(found.values())

    def find(self, name: str, before: Iterable[Path] = ()) -> Library | None:
        """The library of that name; None if there is none of the right kind."""
        for directory in (*before, *self._directories):
            path = directory / name
            if self._fits(path):
                return Library(name, path)
        return None

    def _is_beside(self, name: str, elf: ElfFile, by: Path) -> bool:
        """Whether a file finds a library in the tree of its own package."""
        relative = [_expanded(one, by) / name for one in elf.search if one.startswith(("$ORIGIN", "${ORIGIN}"))]
        return any(path.is_file() and any(path.is_relative_to(tree) for tree in self._trees) for path in relative)

    def _fits(self, path: Path) -> bool:
        try:
            elf = read_elf(path)
        except (OSError, BadElf):
            return False
        return elf is not None and elf.kind == self._kind


def system_directories() -> Sequence[Path]:
    """Where the loader searches: what its configuration names, and what it knows itself."""
    named = [*_configured(Path("/etc/ld.so.conf"), [MAX_INCLUDES]), *map(Path, _USUAL)]
    return list(dict.fromkeys(path for path in named if path.is_dir()))


def _configured(file: Path, left: list[int]) -> Iterator[Path]:
    """The directories of a file and of those that it includes. left: how many may still be read."""
    left[0] -= 1
    try:
        lines = file.read_text(errors="replace").splitlines() if left[0] >= 0 else []
    except OSError:
        return
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                base = file.parent / pattern
                for included in sorted(base.parent.glob(base.name)):
                    yield from _configured(included, left)
        elif words:
            yield Path(words[0])


def _expanded(directory: str, by: Path) -> Path:
    origin = str(by.resolve().parent)
    return Path(os.path.normpath(directory.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)))
