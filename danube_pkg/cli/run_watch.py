"""`danube run --watch`: runs again after each change of a file of the working tree, until it is interrupted."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from danube_pkg.adapters.git.working_tree import state_of_files
from danube_pkg.cli.output import say
from danube_pkg.core.errors import Permanent

POLL_SECONDS = 0.5
"""Between two reads of the times of all files: a few milliseconds for a thousand."""

QUIET_SECONDS = 0.3
"""So long nothing must change: editors and `git checkout` write several files."""

SHOWN = 3

State = Mapping[str, tuple[int, int]]


def run_watching(directory: Path, run: Callable[[], int], *, pause: Callable[[float], None] = time.sleep) -> int:
    """Run, and again after each change; returns the exit code of a run that was interrupted. A change while it runs
    counts. Raises KeyboardInterrupt between runs."""
    while True:
        before = _state(directory)
        code = run()
        if code >= 128:
            return code
        say("danube: waiting for a change of a file; Ctrl-C ends it", file=sys.stderr)
        changed = _wait_for_change(directory, before, pause)
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        say(f"danube: {', '.join(changed[:SHOWN])}{more} changed", file=sys.stderr)


def _wait_for_change(directory: Path, before: State, pause: Callable[[float], None]) -> list[str]:
    """The names of files that differ, once nothing changes any more."""
    now = _state(directory)
    while now == before:
        pause(POLL_SECONDS)
        now = _state(directory)
    while True:
        pause(QUIET_SECONDS)
        again = _state(directory)
        if again == now:
            return sorted(name for name in {*before, *now} if before.get(name) != now.get(name)) or ["a file"]
        now = again


def _state(directory: Path) -> State:
    """A directory that cannot be read for a moment, as while it is replaced, has no files."""
    try:
        return state_of_files(directory)
    except Permanent:
        return {}
