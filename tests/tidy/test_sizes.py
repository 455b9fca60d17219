"""Files and functions keep their limits; the rules find what does not."""

import pytest

from tests.tidy import sizes
from tests.tidy.findings import assert_none
from tests.tidy.tree import Source, python, written

PROSE = (".md", ".lock", ".json", ".svg", "LICENSE")
"""Read from section to section, or not read at all."""


def test_files_keep_their_limit() -> None:
    assert_none(sizes.long_file, (source for source in written() if not source.name.endswith(PROSE)))


def test_functions_keep_their_limit() -> None:
    assert_none(sizes.long_function, python())


@pytest.mark.parametrize(("lines", "found"), [(400, 0), (401, 1)])
def test_a_long_file_is_found(lines: int, found: int) -> None:
    assert len(list(sizes.long_file(Source("danube_pkg/sample.py", "x = 1\n" * lines)))) == found


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(("lines", "found"), [(59, 0), (60, 1)])
def test_a_long_function_is_found(kind: str, lines: int, found: int) -> None:
    text = f"class Sample:\n    {kind} run(self):\n" + "        x = 1\n" * lines
    assert len(list(sizes.long_function(Source("danube_pkg/sample.py", text)))) == found
