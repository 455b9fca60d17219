"""Makes directory trees that cannot be made by their paths."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def inside(directory: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)
    os.chdir(directory)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def make_deep(top: Path, depth: int, name: str = "d" * 200) -> None:
    top.mkdir()
    with inside(top):
        for _ in range(depth):
            os.mkdir(name)
            os.chdir(name)
        Path("leaf").write_bytes(b"x" * 50_000)
