"""Files of the workspace that a call names by a pattern."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from danube._errors import DanubeError
from danube._session import current


def is_left_out(what: str) -> bool:
    """Whether what is missing may be so because the steps that make it were left out; the job's log says so then."""
    if current().is_partial:
        print(f"danube: {what} is left out: the steps that make it did not run", flush=True)
    return current().is_partial


def matches(workspace: Path, pattern: str) -> list[str]:
    """What a pattern matches, sorted; `**` matches directories of any depth."""
    return sorted(glob.glob(str(workspace / pattern), recursive=True))


def refuse_outside(reference: str, workspace: Path, found: Sequence[Path], *, followed: bool) -> None:
    """A link that a step left in the workspace must not disclose a file that only the coordinator can read.

    followed: whether the content is read through a link; an archive keeps a link as a link, wherever it leads. Raises
    DanubeError.
    """
    inside = workspace.resolve()
    for path in found:
        kept = path.is_symlink() and not followed
        if not (path.parent.resolve() / path.name if kept else path.resolve()).is_relative_to(inside):
            raise DanubeError(
                reference,
                f"{os.path.relpath(path, workspace)!r} leads out of the workspace",
                hint="copy the files into the workspace in a step",
            )
