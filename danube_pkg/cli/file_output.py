"""Files that commands write: `--output FILE`, or standard output without it."""

import os
import sys
from pathlib import Path

from danube_pkg.core.errors import Permanent


def write_output(output: str | None, data: bytes) -> None:
    """Write the data to a file, whole or not at all; None or `-`: to standard output. Raises Permanent."""
    if output in (None, "-"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    target = Path(str(output))
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Permanent(
            "file-not-written",
            f"{target} cannot be written",
            cause=error.strerror or str(error),
            hint="name another file: --output FILE, or - for standard output",
        ) from error
