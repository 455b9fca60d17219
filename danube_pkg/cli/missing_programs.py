"""Programs that a step did not find, and that this machine has where the image `host` does not show it."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.kit.terminal import visible

TAIL_CHARACTERS = 8192
"""The part of a log that has what a failed step prints last."""

MAX_NAMED = 3

_MISSING = re.compile(r"(?:^|[\s:])([A-Za-z0-9][A-Za-z0-9._+-]*): (?:command )?not found", re.MULTILINE)
"""`sh: 1: cargo: not found` (dash), `bash: line 1: cargo: command not found`."""


class LogTail:
    """The end of a log that is printed."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, data: bytes) -> None:
        self._text = (self._text + data.decode(errors="replace"))[-TAIL_CHARACTERS:]

    def notes(self, host_paths: Sequence[Path]) -> list[str]:
        """A sentence for each program that was not found and is on the user's PATH. host_paths: what `host` shows
        beside the machine's own programs."""
        found = dict.fromkeys(match[1] for match in _MISSING.finditer(visible(self._text)))
        notes = [_note(name, host_paths) for name in found]
        return [note for note in notes if note][:MAX_NAMED]


def _note(name: str, host_paths: Sequence[Path]) -> str:
    program = shutil.which(name)
    if program is None:
        return ""
    path = Path(program).absolute()
    real = path.resolve()
    if _is_shown(path, host_paths) and _is_shown(real, host_paths):
        return ""
    wanted = real if _is_shown(path, host_paths) else path
    directory = wanted.parent.parent if wanted.parent.name == "bin" else wanted.parent
    return f"{name} is {path} on this machine, which the image host does not show: danube run --host-path {directory}"


def _is_shown(path: Path, host_paths: Sequence[Path]) -> bool:
    return any(path.is_relative_to(one) for one in (Path("/usr"), Path("/bin"), Path("/sbin"), *host_paths))
