"""The first program of a pod in a cluster: puts the supervisor where every container of the pod finds it.

Arguments: the version of the server, the directory. The coordinator image, in which it runs, must be of the server's
version: both speak one protocol, and the steps of a job must not depend on which of two images a node had.
"""

import os
import shutil
import sys
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.pod.own_process import leave, say

SOURCE = Path("/opt/danube/bin/danube-step")
"""Where the coordinator image has the supervisor."""

TERMINATION_LOG = Path("/dev/termination-log")
"""What is written here becomes the container's message in the status of its pod."""

MISMATCH = 3


def place(version: str, directory: Path, source: Path = SOURCE, log: Path = TERMINATION_LOG) -> int:
    """The exit code: MISMATCH for an image of another version."""
    if version != __version__:
        message = f"the coordinator image is of version {__version__}, and the server of version {version}"
        say(message)
        if log.exists():
            log.write_text(message)
        return MISMATCH
    target = directory / source.name
    made = target.with_suffix(".new")
    shutil.copyfile(source, made)
    made.chmod(0o555)
    os.replace(made, target)
    return 0


if __name__ == "__main__":
    leave(place(sys.argv[1], Path(sys.argv[2])))
