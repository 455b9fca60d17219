"""Rules for names: they say what is inside, and a public class name means one thing."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from tests.tidy.tree import Source

VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
"""Names that say nothing of what is inside."""


def vague_name(source: Source) -> Iterator[str]:
    """A file, directory, class or function whose name says nothing."""
    for part in PurePath(source.name).parts:
        if set(re.split(r"[-_.]", part.lower())) & VAGUE:
            yield f"1: the name {part} says nothing of what is in it"
    if source.name.endswith(".py"):
        for node in [*source.syntax.functions, *source.syntax.of(ast.ClassDef)]:
            if set(_parts(node.name)) & VAGUE:
                yield f"{node.lineno}: the name {node.name} says nothing of what it is"


def _parts(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")


def repeated_class_names(sources: Iterable[Source]) -> Iterator[str]:
    """Public class names that mean several things, each with its places."""
    places: dict[str, list[str]] = {}
    for source in sources:
        for node in source.module.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(f"{source.name}:{node.lineno}")
    for name, found in sorted(places.items()):
        if len(found) > 1:
            yield f"{name}: {', '.join(found)}"
