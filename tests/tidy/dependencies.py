"""Rules for dependencies: each is named once, in pyproject.toml and in the documents' table, and locked as required."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement  # pytest brings it
from packaging.utils import canonicalize_name

from tests.tidy.tree import Source

_LIBRARY = re.compile(r"@?[\w./-]+")


def name_of(requirement: str) -> str:
    """The normalized name: `ahocorasick_rs>=1.0` is `ahocorasick-rs`."""
    return canonicalize_name(Requirement(requirement).name)


def repeated_requirements(project: Mapping[str, Any]) -> Iterator[str]:
    """Dependencies that stand more than once in the table `[project]`: in the list itself, or in it and in an extra."""
    lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    yield from _repeated((name_of(one) for listed in lists for one in listed), "pyproject.toml")


def repeated_libraries(documents: Iterable[Source]) -> Iterator[str]:
    """Libraries that stand in more than one row of the documents' tables of libraries."""
    yield from _repeated((name for document in documents for name in libraries(document)), "the documents' tables")


def _repeated(names: Iterable[str], place: str) -> Iterator[str]:
    for name, count in sorted(Counter(names).items()):
        if count > 1:
            yield f"{name} stands {count} times in {place}"


def libraries(document: Source) -> Iterator[str]:
    """The normalized names in the column `library` of each table that has one; a cell may name several."""
    column = None
    for line in document.text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            column = None
        elif column is None and "library" in cells:
            column = cells.index("library")
        elif column is not None and not set(line) <= set("|-: "):
            names = re.sub(r"\([^)]*\)", "", cells[column])
            yield from (
                canonicalize_name(name.strip(" `"))
                for name in re.split(r"[,;]", names)
                if _LIBRARY.fullmatch(name.strip(" `"))
            )


def unmet(requirements: Sequence[str], pins: Mapping[str, str]) -> Iterator[str]:
    """Requirements that a lock file does not pin, or pins to a version that they do not allow."""
    for text in requirements:
        pinned = pins.get(name_of(text))
        if pinned is None:
            yield f"{text} is not pinned: make lock"
        elif not Requirement(text).specifier.contains(pinned):
            yield f"{text} is pinned to {pinned}: make lock"
