"""Finds those of Danube's own files that the users of pods cannot read."""

import stat
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap, home_of
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods


def unreadable_for_pods(program: CoordinatorProgram) -> Sequence[Path]:
    """The paths that a pod's user needs and cannot read, as after a checkout by root with umask 077.

    Empty where pods have the server's own user. Raises HostLacks without bubblewrap.
    """
    if not has_ids_for_pods():
        return ()
    needed = [home_of(find_bubblewrap()), *(source for source, _ in program.mounts)]
    return [path for path in needed if not _others_can_read(path)]


def _others_can_read(path: Path) -> bool:
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & wanted == wanted
