"""Files that commands write: `--output FILE`, or standard output without it."""

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from danube_pkg.core.errors import Permanent


class Source(Protocol):
    """What can be read in parts: a file, an answer of the server."""

    def read(self, size: int = -1, /) -> bytes: ...


def write_output(output: str | None, data: bytes) -> None:
    """As `copy_output`."""
    copy_output(output, io.BytesIO(data))


def copy_output(output: str | None, source: Source) -> None:
    """Write the source to a file, whole or not at all; None or `-`: to standard output. Raises Permanent."""
    with written(output) as file:
        shutil.copyfileobj(source, file)


@contextmanager
def written(output: str | None) -> Iterator[IO[bytes]]:
    """An open file that gets its name once the block has ended well; None or `-`: standard output. Raises
    Permanent."""
    if output in (None, "-"):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(str(output))
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, target)
    except OSError as error:
        raise Permanent(
            "file-not-written",
            f"{target} cannot be written",
            cause=error.strerror or str(error),
            hint="name another file: --output FILE, or - for standard output",
        ) from error
    finally:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
