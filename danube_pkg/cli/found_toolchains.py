"""The toolchains of a repository on disk: those of its root, or of the projects in its directories."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from danube_pkg.cli.toolchains import READ_NAMES, Toolchain, toolchains
from danube_pkg.kit.records import replace

MAX_READ_BYTES = 1024**2
"""The most that is read of a file: the lock file of a large project has less."""

MAX_DEPTH = 3
MAX_DIRECTORIES = 5000
MAX_PROJECTS = 20
"""The most of a monorepo: more of them need a danubefile with a loop."""

_OTHERS = frozenset(
    {"node_modules", "vendor", "third_party", "target", "build", "dist", "venv", "testdata", "fixtures"}
)
"""Directories whose projects are not the repository's own, or are made by its build."""


def find_toolchains(root: Path) -> tuple[Toolchain, ...]:
    """Those of the root; if it has none, those of the first directories below that have some."""
    found = toolchains(_read_files(root))
    if found:
        return found
    inner: list[Toolchain] = []
    for directory in _directories(root):
        if any(directory.is_relative_to(root / one.directory) for one in inner):
            continue
        shown = str(directory.relative_to(root))
        inner += [replace(one, directory=shown) for one in toolchains(_read_files(directory))]
        if len(inner) >= MAX_PROJECTS:
            break
    return tuple(inner[:MAX_PROJECTS])


def _directories(root: Path) -> Iterator[Path]:
    """The directories below, sorted, outer ones before inner ones."""
    level, count = [root], 0
    for _ in range(MAX_DEPTH):
        below: list[Path] = []
        for directory in level:
            try:
                names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))
            except PermissionError:
                continue
            below += [directory / name for name in names if not name.startswith(".") and name not in _OTHERS]
        count += len(below)
        yield from below
        if count > MAX_DIRECTORIES:
            return
        level = below


def _read_files(directory: Path) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in READ_NAMES:
        path = directory / name
        if path.is_file():
            with path.open("rb") as file:
                found[name] = file.read(MAX_READ_BYTES).decode("utf-8", "replace")
        elif path.is_dir():
            found[name] = ""
    return found
