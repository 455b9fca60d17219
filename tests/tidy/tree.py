"""The files of the project: what is in the tree and not made by a tool."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

GENERATED = ("sdk/danube/_proto/", "requirements", "web/package-lock.json", "web/src/api/schema.d.ts")
"""Beginnings of paths that a tool writes and nobody reads."""

_BINARY = {".png", ".ico", ".gz", ".zst", ".tar", ".woff2", ".pack", ".idx"}


@dataclass(frozen=True)
class Source:
    """A text file. `name`: relative to the root, with slashes."""

    name: str
    text: str

    @property
    def module(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return _parse(self.text)


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def sources() -> tuple[Source, ...]:
    """Every text file that belongs to the project, also one that is not committed yet."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = sorted(ROOT / name for name in listed.split("\0") if name)
    found = [path for path in paths if path.is_file() and path.suffix not in _BINARY]
    return tuple(Source(str(path.relative_to(ROOT)), path.read_text()) for path in found)


def written() -> Iterator[Source]:
    """The files that people write."""
    return (source for source in sources() if not source.name.startswith(GENERATED))


def python(*below: str) -> Iterator[Source]:
    """The Python files that people write, below one of these directories; all where none is named."""
    return (
        source for source in written() if source.name.endswith(".py") and (not below or source.name.startswith(below))
    )
