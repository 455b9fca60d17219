"""Rules for sizes: a function fits on a screen, a file is about one thing, a line is read at one glance."""

from collections.abc import Iterator

from tests.tidy.tree import Source

MAX_FILE_LINES = 400
"""At this length a file is two things."""

MAX_FUNCTION_LINES = 60
"""From `def` to the last line, with its docstring and the functions inside it: what a screen shows."""


def long_file(source: Source) -> Iterator[str]:
    """More lines than a file should have."""
    count = source.text.count("\n")
    if count > MAX_FILE_LINES:
        yield f"1: {count} lines, more than {MAX_FILE_LINES}"


def long_function(source: Source) -> Iterator[str]:
    """More lines than a function should have."""
    for node in source.syntax.functions:
        count = (node.end_lineno or node.lineno) - node.lineno + 1
        if count > MAX_FUNCTION_LINES:
            yield f"{node.lineno}: {node.name} has {count} lines, more than {MAX_FUNCTION_LINES}"
