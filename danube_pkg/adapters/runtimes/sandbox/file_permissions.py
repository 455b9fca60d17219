"""Which of Danube's own files the users of pods cannot read."""

import stat
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap, home_of
from danube_pkg.adapters.runtimes.sandbox.launch import has_ids_for_pods


def closed_to_pods(program: CoordinatorProgram) -> Sequence[Path]:
    """What of Danube's own files a pod's user cannot read, as after a checkout by a root whose umask is 077.

    Empty where pods have the server's own user. Raises HostLacks where there is no bubblewrap.
    """
    if not has_ids_for_pods():
        return ()
    needed = [home_of(find_bubblewrap()), *(source for source, _ in program.mounts)]
    return [path for path in needed if not _others_can_read(path)]


def _others_can_read(path: Path) -> bool:
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & wanted == wanted
