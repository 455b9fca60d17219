"""The coordinator image: its name, its labels and how a container of it is started. Pure.

The image is made by `danube image coordinator` from the program that is installed, so each version has its own.
"""

from collections.abc import Mapping
from pathlib import Path

from danube_pkg.core.runtimes.coordinator_protocol import COORDINATOR_PROTOCOL
from danube_pkg.kit.records import Record

COORDINATOR_COMMAND = "exec python3 -s -S -m danube_pkg.pod.coordinator"
"""The shell command of the container: without packages that only one machine's Python happens to have."""

COORDINATOR_USER = 1000
"""User and group, as in the image `host`. A number, so that a cluster can see that it is not root."""

CODE_PATH = "/usr/lib/danube"
"""The SDK and the coordinator's own code in the image; its variable PYTHONPATH names it."""

SUPERVISOR_PATH = "/opt/danube/bin/danube-step"
"""Where `danube_pkg.pod.place_supervisor` finds the supervisor in the image."""

PROTOCOL_LABEL = "dev.danube.coordinator-protocol"


class CoordinatorFiles(Record):
    """This program's Python, the packages of the coordinator and a shell, as files that an image can get.

    interpreter: its program. version: `3.11`. standard_library: its directories; the first that has a module counts.
    packages: (path, place below CODE_PATH). library_directory: `lib` or `lib64`, as the interpreter was built
    (`sys.platlibdir`). libraries: directories with shared libraries of its own. shell: what becomes `/bin/sh`.
    supervisor: `danube-step`, which a pod's first container copies from SUPERVISOR_PATH for all of its containers.
    """

    interpreter: Path
    version: str
    standard_library: tuple[Path, ...]
    packages: tuple[tuple[Path, str], ...]
    supervisor: Path
    library_directory: str = "lib"
    libraries: tuple[Path, ...] = ()
    shell: Path = Path("/bin/sh")


def coordinator_reference(version: str) -> str:
    """The image's name in a file. Its host never resolves, so that nothing pulls it from elsewhere by mistake.

    version: of Danube. A tag has no `+` (https://github.com/opencontainers/distribution-spec), which becomes `_`.
    """
    return f"danube.internal/coordinator:{version.replace('+', '_')}"


def coordinator_labels(version: str) -> Mapping[str, str]:
    """What tells whether an image fits a server."""
    return {
        "org.opencontainers.image.title": "Danube coordinator",
        "org.opencontainers.image.version": version,
        PROTOCOL_LABEL: str(COORDINATOR_PROTOCOL),
    }
